// Prints one JSON document: what Swift makes, for Python's verifiers to take. Octets are in base64 with padding.
import BonafideCore
import BonafideTestSupport

let document: JSON = [
    "attestations": try await attestations(),
    "assertions": try await assertions(),
    "sessions": try sessions(),
    "kdf": kdf(),
]
print(String(decoding: document.octets, as: UTF8.self))
