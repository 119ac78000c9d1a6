/// The records of RFC 8188: one key for one message, cut into records of one size, the last one marked as such.
///
/// What a header says of record size and key id is the caller's to compare. A record that verified was written at this
/// place of this message by a holder of the key; only the last one proves that nothing was cut off.
package enum RecordStream {
    package static let saltOctets = 16
    package static let tagOctets = 16
    /// One octet of content or padding, the delimiter, the tag.
    static let minRecordOctets = tagOctets + 2
    /// More than any answer of ours has, and far from where a counter of twelve octets would come round.
    static let maxRecords = 1 << 32
    package static let more: UInt8 = 1
    package static let last: UInt8 = 2

    /// How many octets of content a record of this size holds.
    package static func room(_ recordOctets: Int) -> Int { recordOctets - tagOctets - 1 }
}

extension RecordStream {
    /// What stands before the records (RFC 8188 section 2.1).
    package struct Header: Hashable, Sendable {
        package let salt: [UInt8]
        package let recordOctets: Int
        package let keyID: [UInt8]

        private static let fixedOctets = saltOctets + 4 + 1

        /// `salt` of 16 octets, `recordOctets` within four, `keyID` of 255 at most.
        package init(salt: [UInt8], recordOctets: Int, keyID: [UInt8]) {
            self.salt = salt
            self.recordOctets = recordOctets
            self.keyID = keyID
        }

        /// The header with which `octets` begin; nil where there are too few to tell. Throws
        /// `SealRefused.headerRefused` for a record size that has no room.
        init?(beginningOf octets: [UInt8]) throws {
            guard octets.count >= Self.fixedOctets else { return nil }
            let size = octets[saltOctets..<saltOctets + 4].reduce(0) { $0 << 8 | Int($1) }
            guard size >= minRecordOctets else { throw SealRefused.headerRefused }
            let end = Self.fixedOctets + Int(octets[Self.fixedOctets - 1])
            guard octets.count >= end else { return nil }
            salt = Array(octets[..<saltOctets])
            recordOctets = size
            keyID = Array(octets[Self.fixedOctets..<end])
        }

        package var octets: [UInt8] {
            salt + KeyDerivation.bigEndian(UInt32(recordOctets)) + [UInt8(keyID.count)] + keyID
        }
    }

    /// Content key and nonces of one message (RFC 8188 sections 2.2 and 2.3).
    package struct Keys: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
        package let contentKey: [UInt8]
        private let firstNonce: [UInt8]

        package init(inputKey: [UInt8], salt: [UInt8], crypto: some Crypto) {
            func derived(_ name: String, _ octets: Int) -> [UInt8] {
                let info = Array("Content-Encoding: \(name)\u{0}".utf8)
                return Array(KeyDerivation.hkdf(inputKey, salt: salt, info: info, crypto: crypto).prefix(octets))
            }
            contentKey = derived("aes128gcm", 16)
            firstNonce = derived("nonce", 12)
        }

        package func nonce(of record: Int) -> [UInt8] {
            var nonce = firstNonce
            for place in 0..<8 { nonce[11 - place] ^= UInt8(truncatingIfNeeded: record >> (8 * place)) }
            return nonce
        }

        package var description: String { "Keys(redacted)" }
        package var debugDescription: String { description }
        package var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
    }

    /// Opens one message record by record, from octets as they come, in any pieces.
    struct Reader {
        private let keys: Keys
        private let recordOctets: Int
        private let crypto: any Crypto
        private var held: [UInt8] = []
        /// How many were opened.
        var records = 0

        init(inputKey: [UInt8], header: Header, crypto: any Crypto) {
            keys = Keys(inputKey: inputKey, salt: header.salt, crypto: crypto)
            recordOctets = header.recordOctets
            self.crypto = crypto
        }

        /// Takes more octets, and hands on the content of each record that is whole and has something after it.
        ///
        /// It is not to be acted upon before `finish` returned: whoever cut the message cut it here. Throws
        /// `SealRefused`: `.recordInvalid`, `.paddingMalformed`, `.tooLarge`.
        mutating func read(_ octets: some Collection<UInt8>, each: (ArraySlice<UInt8>) throws -> Void) throws {
            held += octets
            var begin = 0
            while held.count - begin > recordOctets {
                let (content, delimiter) = try open(held[begin..<begin + recordOctets])
                // Something follows, so this one is not the last.
                guard delimiter == more else { throw SealRefused.paddingMalformed }
                try each(content)
                begin += recordOctets
            }
            held.removeSubrange(..<begin)
        }

        /// Returns the content of the last record, and its size with delimiter, padding and tag, once all octets were
        /// given in. Proves that the message is whole. Throws as `read`, and `SealRefused.truncated`.
        mutating func finish() throws -> (content: ArraySlice<UInt8>, octets: Int) {
            guard held.count >= minRecordOctets else { throw SealRefused.truncated }
            let (content, delimiter) = try open(held[...])
            guard delimiter == last else { throw SealRefused.truncated }
            return (content, held.count)
        }

        private mutating func open(_ record: ArraySlice<UInt8>) throws -> (ArraySlice<UInt8>, delimiter: UInt8) {
            guard records < maxRecords else { throw SealRefused.tooLarge }
            let plain: [UInt8]
            do {
                plain = try crypto.openAESGCM(
                    key: keys.contentKey, nonce: keys.nonce(of: records),
                    ciphertext: Array(record.dropLast(tagOctets)), tag: Array(record.suffix(tagOctets)),
                    additionalData: [])
            } catch {
                throw SealRefused.recordInvalid
            }
            records += 1
            // What stands behind the delimiter is padding, and zero.
            guard let end = plain.lastIndex(where: { $0 != 0 }) else { throw SealRefused.paddingMalformed }
            return (plain[..<end], plain[end])
        }
    }
}
