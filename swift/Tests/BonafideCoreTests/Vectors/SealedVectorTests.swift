import BonafideTestSupport
import Testing

@testable import BonafideCore

/// What Python seals, Swift seals to the same octets and opens; what Python's opener refuses, Swift's does by the same
/// code. One after another, as it is work for the processor: others wait for the time.
@Suite(.serialized) struct SealedVectorTests {
    private let crypto = SoftwareCrypto()

    @Test(arguments: VectorFile.all("aes128gcm")) func everyMessageGetsItsVerdict(_ vector: VectorFile) throws {
        let octets = try vector.octets("octets")
        do {
            guard let header = try RecordStream.Header(beginningOf: octets) else { throw SealRefused.truncated }
            var reader = RecordStream.Reader(inputKey: try vector.octets("key"), header: header, crypto: crypto)
            var content: [UInt8] = []
            try reader.read(octets[header.octets.count...]) { content += $0 }
            content += try reader.finish().content
            #expect(vector.isAccepted)
            #expect(content == (try vector.claimed("content")))
            #expect(header.salt == (try vector.claimed("salt")))
            #expect(header.keyID == (try vector.claimed("key_id")))
            #expect(header.recordOctets == vector.claims?["record_size"]?.integer)
        } catch let refused as SealRefused {
            #expect(refused.rawValue == vector.expect)
        }
    }

    @Test(arguments: VectorFile.all("sealed")) func everyAnswerGetsItsVerdict(_ vector: VectorFile) throws {
        let question = try Question(vector)
        if vector.isAccepted {
            try question.requireSameOctets(vector)
        } else {
            let octets = try question.octets(vector)
            for piece in [octets.count, 1000] {
                do {
                    _ = try question.open(octets, piece: max(piece, 1))
                    Issue.record("\(vector.name) is taken")
                } catch let refused as SealRefused {
                    #expect(refused.rawValue == vector.expect)
                }
            }
        }
    }
}

/// Whose answer a vector is.
private struct Question {
    let key: AnswerKey
    let status: Int
    let crypto = SoftwareCrypto()

    init(_ vector: VectorFile) throws {
        key = AnswerKey(
            session: try vector.octets("sid"), sessionKey: try vector.octets("session_key"),
            base: Array(try vector.text("base").utf8), crypto: crypto)
        status = try #require(vector.input["status"]?.integer)
    }

    func open(_ octets: [UInt8], piece: Int) throws -> SealedAnswer<[UInt8]> {
        var rest = octets[...]
        return try key.open(status: status, into: BodyInMemory(), crypto: crypto) {
            let next = rest.prefix(piece)
            rest = rest.dropFirst(piece)
            return next.isEmpty ? nil : Array(next)
        }
    }

    /// Seals what the vector says and opens it, record by record: one has 64 MiB.
    func requireSameOctets(_ vector: VectorFile) throws {
        let said = try Said(vector.input)
        var sealer = AnswerSealer(key, status: status, fields: said.fields, salt: said.salt)
        var rest = said.size
        var pieces: [[UInt8]] = [sealer.header]
        var isFinished = false
        var size = 0
        var sealed = crypto.makeSHA256()
        var first: [UInt8] = []
        let opened = try key.open(status: status, into: Digest(crypto: crypto), crypto: crypto) {
            while pieces.isEmpty, !isFinished {
                let part = said.body(from: said.size - rest, upTo: 1 << 20)
                rest -= part.count
                isFinished = part.isEmpty
                pieces.append(isFinished ? sealer.finish() : sealer.write(part))
            }
            guard !pieces.isEmpty else { return nil }
            let piece = pieces.removeFirst()
            size += piece.count
            sealed.update(piece)
            if first.count <= 4096 { first += piece }
            return piece
        }
        #expect(key.key == (try vector.claimed("key")))
        #expect(size == vector.claims?["size"]?.integer)
        #expect(sealed.digest() == (try vector.claimed("sha256")))
        if vector.claims?["octets"] != nil { #expect(first == (try vector.claimed("octets"))) }
        #expect(opened.fields.map { [$0.name, $0.value] } == said.fields.map { [$0.name, $0.value] })
        #expect(opened.body.octets == said.size)
        var body = crypto.makeSHA256()
        for begin in stride(from: 0, to: said.size, by: 1 << 20) { body.update(said.body(from: begin, upTo: 1 << 20)) }
        #expect(opened.body.digest == body.digest())
    }

    /// What a refused vector opens: octets, or pieces of an answer.
    func octets(_ vector: VectorFile) throws -> [UInt8] {
        guard let answer = vector.input["answer"], let pieces = vector.input["pieces"]?.elements else {
            return try vector.octets("octets")
        }
        let said = try Said(answer)
        let whole = AnswerSealer.seal(
            said.body(from: 0, upTo: said.size), key, status: status, fields: said.fields, salt: said.salt)
        return try pieces.flatMap { piece -> [UInt8] in
            if let text = piece.text { return try #require(Base64.decoded(text)) }
            let bounds = try #require(piece.elements).map { bound -> Int in
                let place = try #require(bound.integer)
                return min(place < 0 ? whole.count + place : place, whole.count)
            }
            return Array(whole[bounds[0]..<max(bounds[0], bounds[1])])
        }
    }
}

/// What is sealed.
private struct Said {
    let salt: [UInt8]
    let fields: [(name: String, value: String)]
    let size: Int
    private let given: [UInt8]?

    init(_ json: JSON) throws {
        salt = try #require(json["salt"]?.text.flatMap { Base64.decoded($0) })
        fields = try #require(json["fields"]?.elements).map { pair in
            let both = try #require(pair.elements).compactMap(\.text)
            return (both[0], both[1])
        }
        given = json["body"]?.text.flatMap { Base64.decoded($0) }
        size = try #require(given?.count ?? json["body_size"]?.integer)
    }

    private static let cycle = (0..<251).map { UInt8($0) }

    /// Some octets of the body, of which the one at i is i mod 251 where they are told by their number.
    func body(from begin: Int, upTo count: Int) -> [UInt8] {
        let end = min(begin + count, size)
        if let given { return Array(given[begin..<end]) }
        var octets: [UInt8] = Array(Self.cycle[(begin % 251)...])
        octets.reserveCapacity(end - begin + 251)
        while octets.count < end - begin { octets += Self.cycle }
        return Array(octets.prefix(end - begin))
    }
}

/// Keeps the number and the digest of what it is given.
private struct Digest: UnreleasedBody {
    private var state: any SHA256State
    private var octets = 0

    init(crypto: some Crypto) { state = crypto.makeSHA256() }

    mutating func append(_ more: ArraySlice<UInt8>) {
        state.update(Array(more))
        octets += more.count
    }

    mutating func release() -> (octets: Int, digest: [UInt8]) { (octets, state.digest()) }
    func discard() {}
}
