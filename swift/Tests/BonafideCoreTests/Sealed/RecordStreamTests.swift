import BonafideTestSupport
import Testing

@testable import BonafideCore

/// RFC 8188's own examples, and what a reader must not take.
@Suite struct RecordStreamTests {
    /// Sections 3.1 and 3.2.
    struct Example: Sendable {
        let key: String
        let message: String
        let recordOctets: Int
        let keyID: String

        static let all = [
            Example(
                key: "yqdlZ-tYemfogSmv7Ws5PQ",
                message: "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg", recordOctets: 4096,
                keyID: ""),
            Example(
                key: "BO3ZVPxUlnLORbVGMpbT1Q",
                message: "uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLW"
                    + "IqS_uA",
                recordOctets: 25, keyID: "a1"),
        ]

        func octets() throws -> [UInt8] { try #require(Base64.urlDecoded(message)) }
    }

    /// Reads a message given in pieces of this size.
    private func read(_ octets: [UInt8], key: [UInt8], piece: Int = .max) throws -> [UInt8] {
        let header = try #require(try RecordStream.Header(beginningOf: octets))
        var reader = RecordStream.Reader(inputKey: key, header: header, crypto: SoftwareCrypto())
        var content: [UInt8] = []
        var rest = octets[header.octets.count...]
        while !rest.isEmpty {
            try reader.read(rest.prefix(piece)) { content += $0 }
            rest = rest.dropFirst(piece)
        }
        return content + (try reader.finish().content)
    }

    @Test(arguments: Example.all) func theExamplesOfTheStandardAreRead(_ example: Example) throws {
        let key = try #require(Base64.urlDecoded(example.key))
        let octets = try example.octets()
        let header = try #require(try RecordStream.Header(beginningOf: octets))
        #expect(header.recordOctets == example.recordOctets)
        #expect(header.keyID == Array(example.keyID.utf8))
        #expect(octets.starts(with: header.octets))
        for piece in 1...octets.count {
            #expect(try read(octets, key: key, piece: piece) == Array("I am the walrus".utf8))
        }
        for place in (header.octets.count - header.keyID.count)..<octets.count where place >= header.octets.count {
            var changed = octets
            changed[place] ^= 1
            #expect(throws: SealRefused.recordInvalid) { try read(changed, key: key) }
        }
        #expect(throws: SealRefused.recordInvalid) { try read(octets, key: key.oneBitOff) }
        var salted = octets
        salted[3] ^= 1
        #expect(throws: SealRefused.recordInvalid) { try read(salted, key: key) }
    }

    @Test func theExampleOfTwoRecordsHasBothOrCountsForNothing() throws {
        let example = Example.all[1]
        let key = try #require(Base64.urlDecoded(example.key))
        let octets = try example.octets()
        #expect(throws: SealRefused.truncated) { try read(Array(octets.dropLast(25)), key: key) }
        #expect(throws: SealRefused.truncated) { try read(Array(octets.dropLast(25 + 25)), key: key) }
        let swapped = octets[..<23] + octets[48...] + octets[23..<48]
        #expect(throws: SealRefused.recordInvalid) { try read(Array(swapped), key: key) }
        #expect(throws: SealRefused.paddingMalformed) { try read(octets + [0], key: key) }
    }

    @Test func aHeaderIsReadOnceItIsThere() throws {
        let octets = try Example.all[1].octets()
        for count in 0..<23 { #expect(try RecordStream.Header(beginningOf: Array(octets.prefix(count))) == nil) }
        #expect(try RecordStream.Header(beginningOf: Array(octets.prefix(23))) != nil)
    }

    @Test(arguments: [0, 1, 17]) func aRecordWithoutRoomIsRefused(size: Int) throws {
        let fitting = RecordStream.Header(salt: [UInt8](repeating: 1, count: 16), recordOctets: 18, keyID: [])
        #expect(try RecordStream.Header(beginningOf: fitting.octets) == fitting)
        let header = RecordStream.Header(salt: fitting.salt, recordOctets: size, keyID: [])
        #expect(throws: SealRefused.headerRefused) { try RecordStream.Header(beginningOf: header.octets) }
    }

    /// What a holder of the key could write, and no reader takes.
    @Test func delimitersArePartOfTheForm() throws {
        let key = [UInt8](repeating: 7, count: 32)
        let header = RecordStream.Header(salt: [UInt8](repeating: 1, count: 16), recordOctets: 20, keyID: [])
        func message(_ plain: [UInt8]...) -> [UInt8] {
            var writer = RecordWriter(inputKey: key, salt: header.salt)
            return header.octets + plain.flatMap { writer.seal($0) }
        }
        #expect(try read(message([1, 2, 3, 1], [4, 2, 0, 0]), key: key) == [1, 2, 3, 4])
        #expect(try read(message([1, 2, 1, 0], [2, 0]), key: key) == [1, 2])
        #expect(throws: SealRefused.paddingMalformed) { try read(message([1, 2, 3, 2], [4, 2]), key: key) }
        #expect(throws: SealRefused.paddingMalformed) { try read(message([1, 2, 3, 9], [4, 2]), key: key) }
        #expect(throws: SealRefused.paddingMalformed) { try read(message([0, 0, 0, 0], [4, 2]), key: key) }
        #expect(throws: SealRefused.paddingMalformed) { try read(message([1, 2, 3, 1], [0, 0]), key: key) }
        #expect(throws: SealRefused.truncated) { try read(message([1, 2, 3, 1], [4, 1]), key: key) }
        #expect(throws: SealRefused.truncated) { try read(message([1, 2, 3, 1], [4, 2, 0, 3]), key: key) }
    }

    @Test(arguments: [0, 1]) func recordsAreCounted(over: Int) throws {
        let octets = try Example.all[0].octets()
        let header = try #require(try RecordStream.Header(beginningOf: octets))
        var reader = RecordStream.Reader(
            inputKey: try #require(Base64.urlDecoded(Example.all[0].key)), header: header, crypto: SoftwareCrypto())
        reader.records = RecordStream.maxRecords - 1 + over
        try reader.read(octets[header.octets.count...]) { _ in }
        // The record is the first of its message, so at this place it does not verify either.
        #expect(throws: over == 0 ? SealRefused.recordInvalid : .tooLarge) { try reader.finish() }
    }

    @Test func everyRecordHasANonceOfItsOwn() {
        let keys = RecordStream.Keys(
            inputKey: [1], salt: [UInt8](repeating: 1, count: 16), crypto: SoftwareCrypto())
        let places = [0, 1, 255, 256, 65536, 1 << 31, 1 << 32]
        #expect(Set(places.map(keys.nonce)).count == places.count)
        #expect(
            zip(keys.nonce(of: 0), keys.nonce(of: 0x0102)).map { $0 ^ $1 } == [UInt8](repeating: 0, count: 10) + [1, 2])
        #expect("\(keys)" == "Keys(redacted)")
        #expect(Mirror(reflecting: keys).children.isEmpty)
    }
}
