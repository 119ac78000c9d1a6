import BonafideCore
import BonafideTestSupport
import Foundation

/// An answer that is sealed or opened here: JSON of `session_key`, `sid`, `base` and `salt` in base64, `status`, `fields`
/// and `body_size`, as a vector of the area `sealed` has them. The octet of the body at i is i mod 251.
struct SealedAnswerInput {
    let key: AnswerKey
    let status: Int
    let salt: [UInt8]
    let fields: [(name: String, value: String)]
    let size: Int

    init?(_ text: String) {
        guard let json = JSON(octets: Array(text.utf8)),
            let session = json["sid"]?.text.flatMap({ Base64.decoded($0) }),
            let sessionKey = json["session_key"]?.text.flatMap({ Base64.decoded($0) }),
            let base = json["base"]?.text, let status = json["status"]?.integer
        else { return nil }
        key = AnswerKey(session: session, sessionKey: sessionKey, base: Array(base.utf8), crypto: SoftwareCrypto())
        self.status = status
        salt = json["salt"]?.text.flatMap { Base64.decoded($0) } ?? SoftwareCrypto().random(16)
        fields = (json["fields"]?.elements ?? []).compactMap { pair in
            guard let both = pair.elements?.compactMap(\.text), both.count == 2 else { return nil }
            return (both[0], both[1])
        }
        size = json["body_size"]?.integer ?? 0
    }
}

private let pieceOctets = 1 << 20

/// Some octets of the body, from this place on.
private func body(from begin: Int, upTo end: Int) -> [UInt8] {
    let cycle = (0..<251).map { UInt8($0) }
    var octets = Array(cycle[(begin % 251)...])
    octets.reserveCapacity(end - begin + cycle.count)
    while octets.count < end - begin { octets += cycle }
    return Array(octets.prefix(end - begin))
}

/// Writes the sealed answer to standard output.
func writeSealed(_ answer: SealedAnswerInput) throws {
    let output = FileHandle.standardOutput
    var sealer = AnswerSealer(answer.key, status: answer.status, fields: answer.fields, salt: answer.salt)
    try output.write(contentsOf: sealer.header)
    for begin in stride(from: 0, to: answer.size, by: pieceOctets) {
        let piece = body(from: begin, upTo: min(begin + pieceOctets, answer.size))
        try output.write(contentsOf: sealer.write(piece))
    }
    try output.write(contentsOf: sealer.finish())
}

/// Opens the sealed answer on standard input. Returns what was in it, its body by number and SHA-256; or why it is
/// refused.
func readSealed(_ answer: SealedAnswerInput) throws -> JSON {
    do {
        let opened = try answer.key.open(status: answer.status, into: DigestedBody(), crypto: SoftwareCrypto()) {
            let piece = try FileHandle.standardInput.read(upToCount: pieceOctets) ?? Data()
            return piece.isEmpty ? nil : [UInt8](piece)
        }
        return [
            "fields": .array(opened.fields.map { .array([.string($0.name), .string($0.value)]) }),
            "size": .integer(opened.body.octets), "sha256": .octets(opened.body.digest),
        ]
    } catch let refused as SealRefused {
        return ["refused": .string(refused.rawValue)]
    }
}

/// Keeps number and digest of what it is given.
private struct DigestedBody: UnreleasedBody {
    private var state = SoftwareCrypto().makeSHA256()
    private var octets = 0

    mutating func append(_ more: ArraySlice<UInt8>) {
        state.update(Array(more))
        octets += more.count
    }

    mutating func release() -> (octets: Int, digest: [UInt8]) { (octets, state.digest()) }
    func discard() {}
}
