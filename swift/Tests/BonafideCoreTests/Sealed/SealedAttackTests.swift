import BonafideTestSupport
import Testing

@testable import BonafideCore

/// What somebody on the way can do to an answer of three records, without any key.
struct SealedAttack: Sendable, CustomTestStringConvertible {
    let name: String
    let code: SealRefused
    let change: @Sendable ([UInt8]) -> [UInt8]

    var testDescription: String { name }

    init(_ name: String, _ code: SealRefused, _ change: @escaping @Sendable ([UInt8]) -> [UInt8]) {
        self.name = name
        self.code = code
        self.change = change
    }

    private static let header = SealedCase.header
    private static let record = SealedCase.record

    /// The header, and the records in this order.
    private static func ordered(_ sealed: [UInt8], _ order: Int...) -> [UInt8] {
        let records = order.map { number in
            Array(sealed[(header + number * record)...].prefix(record))
        }
        return Array(sealed[..<header]) + records.joined()
    }

    private static func flipped(_ place: Int, _ mask: UInt8 = 1) -> @Sendable ([UInt8]) -> [UInt8] {
        { sealed in
            var changed = sealed
            changed[place < 0 ? sealed.count + place : place] ^= mask
            return changed
        }
    }

    private static func cut(_ count: Int) -> @Sendable ([UInt8]) -> [UInt8] { { Array($0.prefix(count)) } }

    static let cuts: [SealedAttack] = {
        var cuts: [SealedAttack] = []
        for place in [0, 1, 16, 20, 36] {
            cuts.append(.init("cut inside the header, \(place)", .truncated, cut(place)))
        }
        for records in [0, 1, 2] {
            // Fewer octets than a record has are none.
            for more in [0, 1, 17] {
                let place = header + records * record + more
                cuts.append(.init("cut \(more) octets after record \(records)", .truncated, cut(place)))
            }
            for more in [18, 1000, 16_000] {
                let place = header + records * record + more
                cuts.append(.init("cut \(more) octets after record \(records)", .recordInvalid, cut(place)))
            }
        }
        for last in [1, 16, 17] {
            cuts.append(.init("the last \(last) octets missing", .recordInvalid) { Array($0.dropLast(last)) })
        }
        return cuts
    }()

    static let orders: [SealedAttack] = [
        .init("first record dropped", .recordInvalid) { ordered($0, 1, 2) },
        .init("second record dropped", .recordInvalid) { ordered($0, 0, 2) },
        .init("first two swapped", .recordInvalid) { ordered($0, 1, 0, 2) },
        .init("last two swapped", .recordInvalid) { ordered($0, 0, 2, 1) },
        .init("first record twice", .recordInvalid) { ordered($0, 0, 0, 1, 2) },
        .init("last record twice", .recordInvalid) { ordered($0, 0, 1, 2, 2) },
        .init("the whole twice", .recordInvalid) { $0 + $0 },
        .init("an octet appended", .recordInvalid) { $0 + [0] },
        .init("a record appended", .recordInvalid) { $0 + [UInt8](repeating: 0, count: record) },
        .init("an octet inserted", .recordInvalid) { Array($0[..<(header + 5)]) + [0] + $0[(header + 5)...] },
    ]

    static let flips: [SealedAttack] = {
        var flips: [SealedAttack] = []
        for place in [0, 7, 15] { flips.append(.init("salt, octet \(place)", .recordInvalid, flipped(place))) }
        for place in 16...20 { flips.append(.init("sizes, octet \(place)", .headerRefused, flipped(place))) }
        flips.append(.init("record size, first bit", .headerRefused, flipped(16, 0x80)))
        for place in [21, 30, 36] { flips.append(.init("key id, octet \(place)", .sessionMismatch, flipped(place))) }
        for place in [0, 100, 65519, 65520, 65535, 65536, 131_071, 131_072] {
            flips.append(.init("records, octet \(place)", .recordInvalid, flipped(header + place)))
        }
        for place in [1, 16, 17, 1000] {
            flips.append(.init("last record, octet -\(place)", .recordInvalid, flipped(-place)))
        }
        return flips
    }()

    static let others: [SealedAttack] = [
        .init("nothing", .truncated) { _ in [] },
        .init("plain text", .headerRefused) { _ in Array(String(repeating: #"{"error": "not found"}"#, count: 20).utf8)
        },
        .init("what gzip begins with", .headerRefused) { [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + $0 },
    ]

    static let all = cuts + orders + flips + others
}

@Suite(.serialized) struct SealedAttackTests {
    private static let answer = SealedCase(octets: 150_000)
    private static let sealed = answer.sealed

    @Test func theAnswerItselfIsTaken() throws {
        #expect(try Self.answer.open(Self.sealed).body == Self.answer.body)
        #expect(Self.sealed.count > SealedCase.header + 2 * SealedCase.record)
    }

    @Test(arguments: SealedAttack.all) func whatTheWayDoesToItIsSeen(_ attack: SealedAttack) {
        for piece in [1000, 65536, 1_000_000] {
            #expect(Self.answer.refusal(of: attack.change(Self.sealed), piece: piece) == attack.code)
        }
    }

    @Test func recordsOfAnotherAnswerDoNotFit() {
        let other = SealedCase(octets: 150_000).sealed
        let middle = SealedCase.header + SealedCase.record
        let mixed = Self.sealed[..<middle] + other[middle...]
        #expect(Self.answer.refusal(of: Array(mixed)) == .recordInvalid)
        #expect(Self.answer.refusal(of: other) == nil)
    }

    /// What only a holder of the key can write.
    @Test func padsOfAnotherFormAreRefused() {
        let answer = SealedCase(octets: 0, fields: [])
        let preface: [UInt8] = [0, 0, 0, 13] + Array(#"{"fields":[]}"#.utf8)
        let full = preface + [UInt8](repeating: 7, count: SealedCase.room - preface.count)
        func last(_ content: [UInt8], _ zeros: Int) -> [UInt8] { content + [2] + [UInt8](repeating: 0, count: zeros) }
        // 17 of content, the delimiter and the tag: 34, so the record has 64.
        #expect(answer.refusal(of: answer.forged([last(preface, 30)])) == nil)
        #expect(answer.refusal(of: answer.forged([full + [1], last([7], 14)])) == nil)
        let refused: [[[UInt8]]] = [
            [last(preface, 29)], [last(preface, 31)], [last(preface, 0)], [last(preface, 94)],
            [last(preface, 29) + [1]], [last(preface, 29) + [3]], [preface + [UInt8](repeating: 0, count: 31)],
            [[UInt8](repeating: 0, count: 48)],
            [full + [1], last([], 15)], [full + [2], last([7], 14)], [full + [3], last([7], 14)],
            [Array(full.dropLast()) + [1, 0], last([7], 14)], [full + [1], last([7], 13)],
        ]
        // What stands last that is no zero is the delimiter, and says of three that they are not the last.
        for (number, plain) in refused.enumerated() {
            #expect(
                answer.refusal(of: answer.forged(plain)) == ((4...6).contains(number) ? .truncated : .paddingMalformed),
                "\(number)")
        }
    }

    @Test func nothingFollowsALastRecordOfFullSize() {
        let answer = SealedCase(octets: SealedCase.room - SealedCase().preface)
        #expect(answer.sealed.count == SealedCase.header + SealedCase.record)
        #expect(answer.refusal(of: answer.sealed) == nil)
        #expect(answer.refusal(of: answer.sealed + [0]) == .paddingMalformed)
        #expect(answer.refusal(of: answer.sealed + answer.sealed) == .paddingMalformed)
    }

    @Test(arguments: [18, 64, 4096, 65535, 65537, 131_072, 1 << 31])
    func recordsOfAnotherSizeAreRefused(size: Int) {
        let answer = SealedCase()
        let header = RecordStream.Header(
            salt: [UInt8](repeating: 9, count: 16), recordOctets: size, keyID: answer.key.session)
        let inner: [UInt8] = [0, 0, 0, 13] + Array(#"{"fields":[]}"#.utf8)
        let plain = inner + [2] + [UInt8](repeating: 0, count: 30)
        #expect(answer.refusal(of: answer.forged([plain])) == nil)
        #expect(answer.refusal(of: answer.forged([plain], header: header)) == .headerRefused)
    }

    @Test(arguments: [0, 15, 17, 255]) func keyIDsOfAnotherLengthAreRefused(count: Int) {
        let answer = SealedCase()
        let keyID = Array((answer.key.session + [UInt8](repeating: 1, count: 255)).prefix(count))
        let header = RecordStream.Header(
            salt: [UInt8](repeating: 9, count: 16), recordOctets: SealedCase.record, keyID: keyID)
        let plain = [0, 0, 0, 13] + Array(#"{"fields":[]}"#.utf8) + [2] + [UInt8](repeating: 0, count: 30)
        #expect(answer.refusal(of: answer.forged([plain], header: header)) == .headerRefused)
    }
}

/// The fields inside: one list of pairs, as a holder of the key could spoil it.
@Suite(.serialized) struct InnerFieldsTests {
    private let answer = SealedCase()

    private func preface(_ json: String, length: Int? = nil) -> [UInt8] {
        let octets = Array(json.utf8)
        return KeyDerivation.bigEndian(UInt32(length ?? octets.count)) + octets
    }

    @Test(arguments: [
        #"{"fields":[]}"#, #"{"fields":[["a",""]]}"#, #"{"fields":[["a","b\tc"],["a","b"]]}"#,
        ##"{"fields":[["!#$%&'*+-.^_`|~09az","caf\u00e9 \ud83d\ude00"]]}"##, #" {"fields" : [ ["a","b c"] ] } "#,
    ])
    func fieldsAreTaken(json: String) {
        #expect(answer.refusal(of: answer.forged(preface: preface(json))) == nil)
    }

    @Test(arguments: [
        "", "{}", "[]", "null", #""fields""#, #"{"fields":null}"#, #"{"fields":{}}"#, #"{"fields":[],"more":1}"#,
        #"{"fields":[],"fields":[]}"#, #"{"Fields":[]}"#, #"{"fields":["a"]}"#, #"{"fields":[[]]}"#,
        #"{"fields":[["a"]]}"#, #"{"fields":[["a","b","c"]]}"#, #"{"fields":[["a",1]]}"#, #"{"fields":[[1,"a"]]}"#,
        #"{"fields":[["a",null]]}"#, #"{"fields":[["","a"]]}"#, #"{"fields":[["A","a"]]}"#,
        #"{"fields":[["a b","a"]]}"#,
        #"{"fields":[["a:","a"]]}"#, #"{"fields":[["\u00e4","a"]]}"#, #"{"fields":[["a\n","a"]]}"#,
        #"{"fields":[["a"," b"]]}"#, #"{"fields":[["a","b "]]}"#, #"{"fields":[["a","\tb"]]}"#,
        #"{"fields":[["a","b\t"]]}"#, #"{"fields":[["a"," "]]}"#, #"{"fields":[["a","b\r\nset-cookie: c"]]}"#,
        #"{"fields":[["a","b\u0000c"]]}"#, #"{"fields":[["a","b\u007fc"]]}"#, #"{"fields":[["a","\ud800"]]}"#,
        #"{"fields":[]}x"#, #"{"fields":[]"#,
    ])
    func otherFieldsAreNot(json: String) {
        #expect(answer.refusal(of: answer.forged(preface: preface(json))) == .fieldsMalformed)
    }

    @Test func namesAreBounded() {
        func json(_ octets: Int) -> String { #"{"fields":[["\#(String(repeating: "a", count: octets))","b"]]}"# }
        #expect(answer.refusal(of: answer.forged(preface: preface(json(256)))) == nil)
        #expect(answer.refusal(of: answer.forged(preface: preface(json(257)))) == .fieldsMalformed)
    }

    @Test func theObjectIsBounded() {
        func json(_ octets: Int) -> String {
            #"{"fields":[["a","\#(String(repeating: "b", count: octets - 21))"]]}"#
        }
        #expect(json(32768).utf8.count == 32768)
        #expect(answer.refusal(of: answer.forged(preface: preface(json(32768)))) == nil)
        #expect(answer.refusal(of: answer.forged(preface: preface(json(32769)))) == .fieldsMalformed)
    }

    @Test func theLengthIsThatOfTheObject() {
        let json = #"{"fields":[]}"#
        #expect(answer.refusal(of: answer.forged(preface: preface(json) + [1, 2])) == nil)
        for length in [0, 1, 12, 14, 15, 1 << 31, 0xFFFF_FFFF] {
            #expect(answer.refusal(of: answer.forged(preface: preface(json, length: length))) == .fieldsMalformed)
        }
        #expect(answer.refusal(of: answer.forged(preface: [0, 0, 0])) == .fieldsMalformed)
        #expect(answer.refusal(of: answer.forged(preface: preface(json, length: 15) + [0x20, 0x20])) == nil)
        #expect(answer.refusal(of: answer.forged(preface: [0xFF] + Array("{\"fields\":[]}".utf8))) == .fieldsMalformed)
    }

    @Test func octetsThatAreNoTextAreRefused() {
        let octets = Array(#"{"fields":[["a","b"#.utf8) + [0xFF] + Array(#""]]}"#.utf8)
        let forged = answer.forged(preface: KeyDerivation.bigEndian(UInt32(octets.count)) + octets)
        #expect(answer.refusal(of: forged) == .fieldsMalformed)
    }
}
