import BonafideCore
import BonafideTestSupport

/// What opening a sealed answer costs beside the raw AES-GCM of as many octets: by size of the body.
struct SealedBench: Sendable {
    static let sizes = [("1 KB", 1024), ("10 KB", 10 * 1024), ("1 MB", 1024 * 1024)]

    private let crypto = SoftwareCrypto()
    private let key = AnswerKey(session: [UInt8](repeating: 1, count: 16), key: [UInt8](repeating: 2, count: 32))

    static func raw(_ name: String) -> String { "raw AES-128-GCM, \(name)" }
    static func opening(_ name: String) -> String { "sealed answer opened, \(name)" }

    var contenders: [Contender] {
        get throws {
            try Self.sizes.flatMap { name, size -> [Contender] in
                let body = [UInt8](repeating: 7, count: size)
                let sealed = AnswerSealer.seal(body, key, status: 200, fields: [("content-type", "text/plain")])
                let rawKey = [UInt8](repeating: 3, count: 16)
                let nonce = [UInt8](repeating: 4, count: 12)
                let text = try crypto.sealAESGCM(key: rawKey, nonce: nonce, plaintext: body, additionalData: [])
                let calls = min(400, max(4, 4 * 1024 * 1024 / size))
                return [
                    Contender(name: Self.raw(name), calls: calls) {
                        _ = try crypto.openAESGCM(
                            key: rawKey, nonce: nonce, ciphertext: text.ciphertext, tag: text.tag, additionalData: [])
                    },
                    Contender(name: Self.opening(name), calls: calls) { try open(sealed) },
                ]
            }
        }
    }

    private func open(_ sealed: [UInt8]) throws {
        var rest = sealed[...]
        _ = try key.open(status: 200, into: BodyInMemory(), crypto: crypto) {
            let piece = rest.prefix(65536)
            rest = rest.dropFirst(piece.count)
            return piece.isEmpty ? nil : Array(piece)
        }
    }
}
