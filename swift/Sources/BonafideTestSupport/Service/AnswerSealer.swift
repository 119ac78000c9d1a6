package import BonafideCore

/// Writes the records of one message of RFC 8188, each with whatever is in it: tests want what no reader takes, too.
package struct RecordWriter {
    private let keys: RecordStream.Keys
    private var records = 0

    /// A pair of input key and salt is for one message alone.
    package init(inputKey: [UInt8], salt: [UInt8]) {
        keys = RecordStream.Keys(inputKey: inputKey, salt: salt, crypto: SoftwareCrypto())
    }

    /// Returns the next record. `plain` is content, delimiter and padding.
    package mutating func seal(_ plain: [UInt8]) -> [UInt8] {
        let sealed = Primitives.sealAESGCM(
            key: keys.contentKey, nonce: keys.nonce(of: records), plaintext: plain, additionalData: [])
        records += 1
        return sealed.ciphertext + sealed.tag
    }
}

/// Seals one answer as an API does (PROTOCOL section 5), with a memory of one record.
package struct AnswerSealer {
    private static let room = RecordStream.room(SealedForm.recordOctets)

    /// What the answer begins with.
    package let header: [UInt8]
    private var writer: RecordWriter
    private var held: [UInt8]

    /// `salt` is 16 octets that were drawn for this answer alone; nil: drawn here.
    package init(
        _ key: AnswerKey, status: Int, fields: [(name: String, value: String)], salt: [UInt8]? = nil
    ) {
        let salt = salt ?? SoftwareCrypto().random(RecordStream.saltOctets)
        header = RecordStream.Header(salt: salt, recordOctets: SealedForm.recordOctets, keyID: key.session).octets
        writer = RecordWriter(inputKey: key.inputKey(status: status, crypto: SoftwareCrypto()), salt: salt)
        let inner = InnerFields.octets(fields)
        held = (0..<SealedForm.lengthOctets).map { UInt8(truncatingIfNeeded: inner.count >> (24 - 8 * $0)) } + inner
    }

    /// Takes more of the body, and returns the records that are full by that and not the last.
    package mutating func write(_ body: [UInt8]) -> [UInt8] {
        held += body
        var records: [UInt8] = []
        var begin = 0
        while held.count - begin > Self.room {
            records += writer.seal(held[begin..<begin + Self.room] + [RecordStream.more])
            begin += Self.room
        }
        held.removeSubrange(..<begin)
        return records
    }

    /// Returns the last record.
    package mutating func finish() -> [UInt8] {
        let size = SealedForm.lastRecordOctets(content: held.count)
        let padding = size - held.count - 1 - RecordStream.tagOctets
        return writer.seal(held + [RecordStream.last] + [UInt8](repeating: 0, count: padding))
    }

    /// Seals a whole answer.
    package static func seal(
        _ body: [UInt8], _ key: AnswerKey, status: Int, fields: [(name: String, value: String)], salt: [UInt8]? = nil
    ) -> [UInt8] {
        var sealer = AnswerSealer(key, status: status, fields: fields, salt: salt)
        var answer = sealer.header
        answer += sealer.write(body)
        answer += sealer.finish()
        return answer
    }
}
