/// Why an answer counts for nothing where a sealed one is wanted. The codes are those of the service's catalogue of
/// reasons, where each has its meaning and its honest cause.
package enum SealRefused: String, Error, CaseIterable {
    case notSealed = "sealed.not_sealed"
    case unexpected = "sealed.unexpected"
    case headerRefused = "sealed.header_refused"
    case sessionMismatch = "sealed.session_mismatch"
    case recordInvalid = "sealed.record_invalid"
    case truncated = "sealed.truncated"
    case paddingMalformed = "sealed.padding_malformed"
    case fieldsMalformed = "sealed.fields_malformed"
    case tooLarge = "sealed.too_large"
}

/// Keeps the body of a sealed answer while it is opened, so that nobody reads it before its last record verified.
public protocol UnreleasedBody {
    /// What a caller gets in the end.
    associatedtype Released

    /// Takes the next part. What it throws ends the opening, and is thrown from there.
    mutating func append(_ octets: ArraySlice<UInt8>) throws
    /// The answer verified whole: hands out what was kept. Nothing is called afterwards, unless this throws.
    mutating func release() throws -> Released
    /// Something did not verify: forgets what was kept.
    mutating func discard()
}

/// Keeps the body in memory.
public struct BodyInMemory: UnreleasedBody, Sendable {
    private var octets: [UInt8] = []

    public init() {}

    public mutating func append(_ more: ArraySlice<UInt8>) { octets += more }
    public mutating func release() -> [UInt8] { octets }
    public mutating func discard() { octets = [] }
}

/// A sealed answer that verified whole.
public struct SealedAnswer<Body> {
    /// Status and inner fields; of those that stand more than once the values are joined by commas.
    public let head: AnswerHead
    /// The inner fields in the application's order: names in lower case, each as often as it was given.
    public let fields: [(name: String, value: String)]
    public let body: Body
}

extension SealedAnswer: Sendable where Body: Sendable {}

/// The key `K` under which the answer to one request is sealed, and the session that it was made with (ADR 15).
package struct AnswerKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// `sid`, 16 octets.
    package let session: [UInt8]
    /// `K`, 32 octets.
    let key: [UInt8]

    /// `sessionKey` is the session's key, `base` the signature base of RFC 9421 section 2.5 as it was signed, by
    /// whichever key.
    package init(session: [UInt8], sessionKey: [UInt8], base: [UInt8], crypto: some Crypto) {
        self.session = session
        let sealing = KeyDerivation.hkdf(
            sessionKey, salt: [], info: Array("bonafide seal response".utf8), crypto: crypto)
        key = KeyDerivation.hkdf(sealing, salt: [], info: crypto.sha256(base), crypto: crypto)
    }

    /// `K` itself, as a vector has it.
    package init(session: [UInt8], key: [UInt8]) {
        self.session = session
        self.key = key
    }

    /// The input key of RFC 8188 for an answer with this status.
    package func inputKey(status: Int, crypto: some Crypto) -> [UInt8] {
        let octets = KeyDerivation.bigEndian(UInt16(truncatingIfNeeded: status))
        return KeyDerivation.hkdf(key, salt: [], info: Array("status\u{0}".utf8) + octets, crypto: crypto)
    }

    package var description: String { "AnswerKey(redacted)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}

/// The one form that a sealed answer has.
package enum SealedForm {
    package static let contentType = "application/bonafide-sealed"
    package static let recordOctets = 65536
    package static let maxFieldsOctets = 32 * 1024
    package static let lengthOctets = 4
    static let statuses = 200..<600

    /// The size of a last record with so much content: the smallest power of two that holds it, delimiter and tag,
    /// and 32 at least. `content` at most what a record has room for.
    package static func lastRecordOctets(content: Int) -> Int {
        var size = 32
        while size < content + 1 + RecordStream.tagOctets { size *= 2 }
        return size
    }
}

extension AnswerKey {
    /// Opens the answer that has this status, `next` giving its octets in pieces of any size and nil at the end.
    ///
    /// Proves: a holder of the session's key sealed these fields and this body as the answer to this request, with this
    /// status, and nothing is missing. Not proven: which of the holders, and how old it is beyond that the request
    /// was made before it. Memory stays that of a piece and a record, beside what `body` keeps. Throws `SealRefused`
    /// and what `next` and `body` throw; `body` is then discarded.
    package func open<Keeper: UnreleasedBody>(
        status: Int, into body: Keeper, crypto: any Crypto, next: () throws -> [UInt8]?
    ) throws -> SealedAnswer<Keeper.Released> {
        var body = body
        do {
            var opener = try Opener(self, status: status, crypto: crypto)
            while let octets = try next() { try opener.take(octets, into: &body) }
            let fields = try opener.finish(into: &body)
            return SealedAnswer(
                head: AnswerHead(openedWith: status, fields: fields), fields: fields, body: try body.release())
        } catch {
            body.discard()
            throw error
        }
    }
}

/// Opens one answer, piece by piece.
private struct Opener {
    private static let room = RecordStream.room(SealedForm.recordOctets)

    private let key: AnswerKey
    private let status: Int
    private let crypto: any Crypto
    private var begin: [UInt8] = []
    private var reader: RecordStream.Reader?
    private var fields: [(name: String, value: String)]?

    init(_ key: AnswerKey, status: Int, crypto: any Crypto) throws {
        // No such answer is sealed, so no record of it could verify.
        guard SealedForm.statuses.contains(status) else { throw SealRefused.recordInvalid }
        self.key = key
        self.status = status
        self.crypto = crypto
    }

    mutating func take(_ octets: [UInt8], into body: inout some UnreleasedBody) throws {
        var octets = octets[...]
        if reader == nil {
            begin += octets
            guard let header = try RecordStream.Header(beginningOf: begin) else { return }
            guard header.recordOctets == SealedForm.recordOctets, header.keyID.count == key.session.count else {
                throw SealRefused.headerRefused
            }
            guard header.keyID == key.session else { throw SealRefused.sessionMismatch }
            octets = begin[header.octets.count...]
            begin = []
            reader = RecordStream.Reader(
                inputKey: key.inputKey(status: status, crypto: crypto), header: header, crypto: crypto)
        }
        guard var reader else { return }
        self.reader = nil  // or what it holds would be copied
        try reader.read(octets) { content in
            // Padding belongs into the last record alone.
            guard content.count == Self.room else { throw SealRefused.paddingMalformed }
            try keep(content, into: &body)
        }
        self.reader = reader
    }

    mutating func finish(into body: inout some UnreleasedBody) throws -> [(name: String, value: String)] {
        guard let (content, octets) = try reader?.finish() else { throw SealRefused.truncated }
        // One content has one length: no record without any after others, and no more zeros than its size asks for.
        guard !content.isEmpty || fields == nil, octets == SealedForm.lastRecordOctets(content: content.count) else {
            throw SealRefused.paddingMalformed
        }
        try keep(content, into: &body)
        guard let fields else { throw SealRefused.fieldsMalformed }
        return fields
    }

    private mutating func keep(_ content: ArraySlice<UInt8>, into body: inout some UnreleasedBody) throws {
        guard fields == nil else { return try body.append(content) }
        let length = content.prefix(SealedForm.lengthOctets).reduce(0) { $0 << 8 | Int($1) }
        let rest = content.dropFirst(SealedForm.lengthOctets)
        guard length <= rest.count,
            let fields = InnerFields.read(rest.prefix(length))
        else { throw SealRefused.fieldsMalformed }
        self.fields = fields
        try body.append(rest.dropFirst(length))
    }
}

/// The fields that stand before the body inside.
package enum InnerFields {
    /// The fields that `octets` are, or nil: not one JSON object with the one member `fields`, a list of pairs of a name
    /// (a token in lower case, 256 octets at most) and a value without controls but tabs and without space at its ends.
    static func read(_ octets: some Collection<UInt8>) -> [(name: String, value: String)]? {
        guard let object = JSONReader.object(octets, maxOctets: SealedForm.maxFieldsOctets),
            object.names == ["fields"], let pairs = object["fields"]?.elements
        else { return nil }
        var fields: [(name: String, value: String)] = []
        for pair in pairs {
            guard let both = pair.elements, both.count == 2, let name = both[0].text, let value = both[1].text,
                isName(name), isValue(value)
            else { return nil }
            fields.append((name, value))
        }
        return fields
    }

    /// The fields as they stand inside.
    package static func octets(_ fields: [(name: String, value: String)]) -> [UInt8] {
        let pairs = fields.map { JSON.array([.string($0.name), .string($0.value)]) }
        return (["fields": .array(pairs)] as JSON).octets
    }

    private static func isName(_ name: String) -> Bool {
        (1...256).contains(name.utf8.count)
            && name.utf8.allSatisfy { octet in
                (0x61...0x7A).contains(octet) || (0x30...0x39).contains(octet) || "!#$%&'*+-.^_`|~".utf8.contains(octet)
            }
    }

    private static func isValue(_ value: String) -> Bool {
        let octets = value.utf8
        return octets.allSatisfy { ($0 >= 0x20 || $0 == 0x09) && $0 != 0x7F }
            && octets.first.map(isSpace) != true && octets.last.map(isSpace) != true
    }

    private static func isSpace(_ octet: UInt8) -> Bool { octet == 0x20 || octet == 0x09 }
}
