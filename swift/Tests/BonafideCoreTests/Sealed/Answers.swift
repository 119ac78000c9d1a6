import BonafideTestSupport

@testable import BonafideCore

/// A question and the answer to it, sealed, with what a holder of the key could write in its place.
struct SealedCase: Sendable {
    static let header = 37
    static let record = 65536
    static let room = 65519

    let crypto = SoftwareCrypto()
    let key: AnswerKey
    let fields: [(name: String, value: String)]
    let body: [UInt8]
    let status: Int

    init(
        octets: Int = 10, status: Int = 200, fields: [(name: String, value: String)] = Self.plainFields,
        base: [UInt8] = Array("\"@method\": GET".utf8), session: UInt8 = 1
    ) {
        key = AnswerKey(
            session: [UInt8](repeating: session, count: 16), sessionKey: [UInt8](repeating: session, count: 32),
            base: base, crypto: SoftwareCrypto())
        self.fields = fields
        self.status = status
        body = Self.body(octets)
    }

    static let plainFields: [(name: String, value: String)] = [
        ("content-type", "text/plain"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-note", "caf\u{e9}\t1"),
    ]

    /// Octets that repeat after 251, so that no two records are the same.
    static func body(_ count: Int) -> [UInt8] {
        let cycle = (0..<251).map { UInt8($0) }
        var body: [UInt8] = []
        body.reserveCapacity(count + cycle.count)
        while body.count < count { body += cycle }
        body.removeSubrange(count...)
        return body
    }

    /// The answer as an API seals it.
    var sealed: [UInt8] { AnswerSealer.seal(body, key, status: status, fields: fields) }

    /// How many octets stand before the body inside.
    var preface: Int { InnerFields.octets(fields).count + 4 }

    /// An answer of records with this in them: content, delimiter, padding.
    func forged(_ plain: [[UInt8]], header: RecordStream.Header? = nil) -> [UInt8] {
        let salt = [UInt8](repeating: 9, count: 16)
        let header = header ?? RecordStream.Header(salt: salt, recordOctets: Self.record, keyID: key.session)
        var writer = RecordWriter(inputKey: key.inputKey(status: status, crypto: crypto), salt: header.salt)
        return header.octets + plain.flatMap { writer.seal($0) }
    }

    /// An answer of one record with this before the body.
    func forged(preface: [UInt8]) -> [UInt8] {
        let size = SealedForm.lastRecordOctets(content: preface.count)
        return forged([preface + [2] + [UInt8](repeating: 0, count: size - preface.count - 17)])
    }

    /// Opens octets as the answer to this question, in pieces of this size.
    func open(_ octets: [UInt8], status: Int? = nil, piece: Int = Self.record) throws -> SealedAnswer<[UInt8]> {
        try open(octets, into: BodyInMemory(), status: status, piece: piece)
    }

    func open<Keeper: UnreleasedBody>(
        _ octets: [UInt8], into keeper: Keeper, status: Int? = nil, piece: Int = Self.record
    ) throws -> SealedAnswer<Keeper.Released> {
        var rest = octets[...]
        return try key.open(status: status ?? self.status, into: keeper, crypto: crypto) {
            let next = rest.prefix(piece)
            rest = rest.dropFirst(piece)
            return next.isEmpty ? nil : Array(next)
        }
    }

    /// Why the octets are refused; nil where they are not.
    func refusal(of octets: [UInt8], status: Int? = nil, piece: Int = Self.record) -> SealRefused? {
        do {
            _ = try open(octets, status: status, piece: piece)
            return nil
        } catch {
            return error as? SealRefused
        }
    }
}

/// Keeps nothing, and remembers what it was asked.
final class WatchedBody: UnreleasedBody {
    struct Full: Error {}

    private(set) var octets = 0
    private(set) var isDiscarded = false
    private(set) var isReleased = false
    private let room: Int

    init(room: Int = .max) { self.room = room }

    func append(_ more: ArraySlice<UInt8>) throws {
        octets += more.count
        if octets > room { throw Full() }
    }

    func release() -> Int {
        isReleased = true
        return octets
    }

    func discard() { isDiscarded = true }
}
