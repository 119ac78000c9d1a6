// Prints one JSON document: what Swift makes, for Python's verifiers to take. Octets are in base64 with padding.
//
// An argument, if there is one, is a fake Apple as a test world prints it: attestations are made under its root too.
import BonafideCore
import BonafideTestSupport

let given = CommandLine.arguments.dropFirst().first.flatMap { JSONReader.object($0.utf8) }.flatMap(FakeApple.init)
let document: JSON = [
    "attestations": try await attestations(under: given),
    "assertions": try await assertions(),
    "sessions": try sessions(),
    "kdf": kdf(),
    "requests": try requests(),
    "client_data": clientData(),
]
print(String(decoding: document.octets, as: UTF8.self))
