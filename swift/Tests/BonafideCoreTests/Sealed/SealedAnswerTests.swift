import BonafideTestSupport
import Testing

@testable import BonafideCore

/// A sealed answer is opened whole and as the answer to its question, or not at all.
@Suite(.serialized) struct SealedAnswerTests {
    private static let preface = SealedCase().preface

    /// Sizes of bodies at which a record begins or a last one grows.
    static let sizes: [Int] = {
        var sizes: [Int] = [0, 1, 15, 100, 1000, 10_000, 65_518, 65_519, 65_520, 1_000_000]
        for more in [-1, 0, 1] {
            for records in [1, 2, 3] { sizes.append(records * SealedCase.room - preface + more) }
            for size in [256, 1024, 32768] { sizes.append(size - 17 - preface + more) }
        }
        return sizes
    }()

    @Test(arguments: sizes) func whatWasSealedIsOpened(octets: Int) throws {
        let answer = SealedCase(octets: octets)
        let sealed = answer.sealed
        let opened = try answer.open(sealed)
        #expect(opened.body == answer.body)
        #expect(opened.fields.map(\.name) == answer.fields.map(\.name))
        #expect(opened.fields.map(\.value) == answer.fields.map(\.value))
        #expect(opened.head.status == 200)
        let last = (sealed.count - SealedCase.header) % SealedCase.record
        #expect(last == 0 || (last >= 32 && last & (last - 1) == 0))
        let content = octets + Self.preface
        let records = max(1, (content + SealedCase.room - 1) / SealedCase.room)
        #expect((sealed.count - SealedCase.header + SealedCase.record - 1) / SealedCase.record == records)
    }

    @Test(arguments: [1, 7, 36, 37, 38, 4096, 65535, 65536, 65537, 65573, 100_000, .max])
    func piecesMayHaveAnySize(piece: Int) throws {
        let answer = SealedCase(octets: piece < 10 ? 66_000 : 150_000)
        #expect(try answer.open(answer.sealed, piece: piece).body == answer.body)
    }

    @Test(arguments: [200, 201, 302, 404, 500, 599]) func oneAnswerHasOneStatus(status: Int) throws {
        let answer = SealedCase(status: status)
        let sealed = answer.sealed
        #expect(try answer.open(sealed).head.status == status)
        for other in [200, 201, 302, 404, 500, 599, 100, 0, 65536 + status] where other != status {
            #expect(answer.refusal(of: sealed, status: other) == .recordInvalid)
        }
    }

    @Test func oneAnswerHasOneQuestionAndOneSession() {
        let answer = SealedCase()
        let sealed = answer.sealed
        #expect(answer.refusal(of: sealed) == nil)
        #expect(SealedCase(base: Array("\"@method\": PUT".utf8)).refusal(of: sealed) == .recordInvalid)
        #expect(SealedCase(session: 2).refusal(of: sealed) == .sessionMismatch)
        let renamed = AnswerKey(
            session: [UInt8](repeating: 2, count: 16), sessionKey: [UInt8](repeating: 1, count: 32), base: [],
            crypto: SoftwareCrypto())
        let foreign = AnswerSealer.seal([], renamed, status: 200, fields: [])
        #expect(SealedCase(session: 2).refusal(of: foreign) == .recordInvalid)
    }

    @Test func theHeadHasTheInnerFieldsJoined() throws {
        let answer = SealedCase(
            status: 401,
            fields: [
                ("bonafide-action", "renew"), ("bonafide-record", "r1"), ("x-a", "1"), ("x-a", "2"),
            ])
        let head = try answer.open(answer.sealed).head
        #expect(head.isSealed)
        #expect(!head.saysSealed)
        #expect(head.action == .renew)
        #expect(head.record == "r1")
        #expect(head["x-a"] == "1, 2")
        #expect(!AnswerHead(status: 200, fields: ["content-type": SealedForm.contentType]).isSealed)
    }

    @Test func nothingIsReleasedBeforeTheLastRecordVerified() throws {
        let answer = SealedCase(octets: 200_000)
        let sealed = answer.sealed
        let good = WatchedBody()
        #expect(try answer.open(sealed, into: good).body == 200_000)
        #expect(good.isReleased && !good.isDiscarded)
        let cut = WatchedBody()
        #expect(throws: SealRefused.truncated) {
            try answer.open(Array(sealed.prefix(SealedCase.header + 2 * SealedCase.record)), into: cut)
        }
        #expect(cut.octets > 0 && cut.isDiscarded && !cut.isReleased)
        let full = WatchedBody(room: 1000)
        #expect(throws: WatchedBody.Full.self) { try answer.open(sealed, into: full) }
        #expect(full.isDiscarded && !full.isReleased)
        let broken = WatchedBody()
        #expect(throws: KeyFailure.unavailable) {
            try answer.key.open(status: 200, into: broken, crypto: answer.crypto) { throw KeyFailure.unavailable }
        }
        #expect(broken.isDiscarded && !broken.isReleased)
    }

    @Test func keysAreDerivedAndNeverPrinted() {
        let key = SealedCase().key
        #expect("\(key)" == "AnswerKey(redacted)")
        #expect(Mirror(reflecting: key).children.isEmpty)
        let inputs = [200, 201].map { key.inputKey(status: $0, crypto: SoftwareCrypto()) }
        #expect(inputs[0].count == 32 && inputs[0] != inputs[1])
    }
}
