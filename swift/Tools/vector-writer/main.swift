// What Swift makes, for Python's verifiers to take: prints one JSON document, its octets in base64 with padding. An
// argument, if there is one, is a fake Apple as a test world prints it: attestations are made under its root too.
//
//     vector-writer [APPLE]
//     vector-writer seal ANSWER       writes the sealed octets
//     vector-writer open ANSWER       reads them, and prints what was in them
import BonafideCore
import BonafideTestSupport
import Foundation

let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case "seal", "open":
    guard arguments.count == 2, let answer = SealedAnswerInput(arguments[1]) else {
        preconditionFailure("no answer is described")
    }
    if arguments[0] == "seal" {
        try writeSealed(answer)
    } else {
        print(String(decoding: try readSealed(answer).octets, as: UTF8.self))
    }
default:
    let given = arguments.first.flatMap { JSONReader.object($0.utf8) }.flatMap(FakeApple.init)
    let document: JSON = [
        "attestations": try await attestations(under: given),
        "assertions": try await assertions(),
        "sessions": try sessions(),
        "kdf": kdf(),
        "requests": try requests(),
        "client_data": clientData(),
    ]
    print(String(decoding: document.octets, as: UTF8.self))
}
