import BonafideTestSupport
import Testing

@testable import BonafideCore

/// An API that seals, with somebody on the way to it.
private actor SealingAPI {
    /// What comes back for one attempt.
    enum Reply: Sendable {
        /// Sealed, as the API answers the request.
        case sealed(status: Int = 200, fields: [(name: String, value: String)] = [], body: String = "secret")
        /// In clear, whoever wrote it.
        case clear(AnswerHead)
        /// The sealed answer to the request before, or what else somebody kept.
        case replayed
        /// The sealed answer, under another status.
        case restated(Int)
        /// The sealed answer, with these fields outside.
        case decorated([String: String])
        /// The sealed answer, and what somebody makes of its octets.
        case edited(@Sendable ([UInt8]) -> [UInt8])
    }

    private let service: SimulatedService
    private var replies: [Reply]
    private var kept: ServiceAnswer?
    private(set) var sent: [ProofFields] = []

    init(_ service: SimulatedService, _ replies: Reply...) {
        self.service = service
        self.replies = replies
    }

    func answer(_ fields: ProofFields) throws -> ServiceAnswer {
        sent.append(fields)
        let reply = replies.count > 1 ? replies.removeFirst() : replies[0]
        var sealed = try seal(fields, 200, [], "secret")
        switch reply {
        case .sealed(let status, let inner, let body): sealed = try seal(fields, status, inner, body)
        case .clear(let head): return ServiceAnswer(head: head, body: Array("forged".utf8))
        case .replayed: return kept ?? sealed
        case .restated(let status):
            return ServiceAnswer(head: Self.marked(status), body: sealed.body)
        case .decorated(let outside):
            return ServiceAnswer(head: Self.marked(200, outside), body: sealed.body)
        case .edited(let edit): return ServiceAnswer(head: sealed.head, body: edit(sealed.body))
        }
        kept = kept ?? sealed
        return sealed
    }

    private static func marked(_ status: Int, _ fields: [String: String] = [:]) -> AnswerHead {
        AnswerHead(
            status: status, fields: fields.merging(["content-type": SealedForm.contentType]) { first, _ in first })
    }

    private func seal(
        _ fields: ProofFields, _ status: Int, _ inner: [(name: String, value: String)], _ body: String
    ) throws -> ServiceAnswer {
        let headers = Dictionary(fields.all.map { ($0.name, $0.value) }) { first, _ in first }
        let request = try #require(
            SignedRequest(method: "GET", url: "https://api.example.com/api/config", headers: headers))
        let session = try #require(service.session(of: request))
        return session.seal(Array(body.utf8), status: status, fields: inner, answering: request)
    }
}

extension Client {
    /// Performs the plain request, and returns status, body and what the head says of `x-note`.
    fileprivate func ask(
        _ api: SealingAPI, _ kind: AnswerKind = .sealed, proof: ProofKind = .session, repeatable: Bool = true,
        head: RequestHead = Phone.head
    ) async throws -> String {
        try await perform(head, proof: proof, answer: kind, repeatable: repeatable) { fields in
            let wire = try await api.answer(fields)
            guard kind == .sealed, wire.head.saysSealed else {
                return (String(decoding: wire.body, as: UTF8.self), wire.head)
            }
            var rest: [UInt8]? = wire.body
            let opened = try fields.open(wire.head, into: BodyInMemory(), crypto: SoftwareCrypto()) {
                defer { rest = nil }
                return rest
            }
            let text = String(decoding: opened.body, as: UTF8.self)
            return ("\(opened.head.status) \(text) \(opened.head["x-note"] ?? "")", opened.head)
        }
    }
}

/// What a caller gets who wants a sealed answer: that one, or a typed error with no body in it.
@Suite struct SealedPerformTests {
    private let phone = Phone()

    @Test(arguments: [ProofKind.session, .hardware]) func aSealedAnswerIsHandedOut(proof: ProofKind) async throws {
        let client = try await phone.enrolled()
        for status in [200, 201, 302, 404, 500] {
            let api = SealingAPI(phone.service, .sealed(status: status, fields: [("x-note", "inside")]))
            #expect(try await client.ask(api, proof: proof) == "\(status) secret inside")
        }
    }

    @Test func whoDidNotAskGetsNoSealedAnswer() async throws {
        let client = try await phone.enrolled()
        let error = await failure { _ = try await client.ask(SealingAPI(phone.service, .sealed()), .clear) }
        #expect(error == .answerRefused("sealed.unexpected"))
        #expect(try await client.ask(SealingAPI(phone.service, .clear(.good)), .clear) == "forged")
    }

    @Test(arguments: [200, 204, 302, 400, 401, 404, 500]) func anAnswerInClearIsNeverABody(status: Int) async throws {
        let client = try await phone.enrolled()
        let plain = AnswerHead(status: status, fields: ["bonafide-record": "r1", "content-type": "application/json"])
        let api = SealingAPI(phone.service, .clear(plain))
        let error = await failure { _ = try await client.ask(api) }
        #expect(error == .answerNotSealed(status: status, action: nil, record: "r1"))
        #expect(await api.sent.count == 1)
        #expect(phone.service.messages == 2)
    }

    @Test(arguments: [
        "Application/Bonafide-Sealed", "application/bonafide-sealed; charset=utf-8", "application/octet-stream", "",
    ])
    func anotherContentTypeIsNoSealedAnswer(type: String) async throws {
        let client = try await phone.enrolled()
        let api = SealingAPI(phone.service, .decorated(["content-type": type]))
        #expect(
            await failure { _ = try await client.ask(api) }
                == .answerNotSealed(status: 200, action: nil, record: nil))
    }

    @Test func hintsInClearAreFollowedWithinTheSameBounds() async throws {
        let client = try await phone.enrolled()
        let first = phone.enrolment?.attestation
        let renewed = SealingAPI(phone.service, .clear(.refusing(.renew)), .sealed())
        #expect(try await client.ask(renewed) == "200 secret ")
        #expect(phone.service.count(.renewals) == 1)
        #expect(phone.enrolment?.attestation != first)
        let again = SealingAPI(phone.service, .clear(.refusing(.renew, ["bonafide-record": "r2"])))
        #expect(
            await failure { _ = try await client.ask(again) }
                == .answerNotSealed(status: 401, action: .renew, record: "r2"))
        #expect(await again.sent.count == 2)
        #expect(phone.service.count(.renewals) == 2)
        let signing = SealingAPI(phone.service, .clear(.refusing(.signAgain)), .sealed())
        #expect(try await client.ask(signing) == "200 secret ")
        #expect(await signing.sent.map(\.isHardware) == [false, true])
    }

    @Test(arguments: [Action.giveUp, .updateApp]) func aTerminalHintInClearEndsInItsError(action: Action) async throws {
        let client = try await phone.enrolled()
        let api = SealingAPI(phone.service, .clear(.refusing(action)))
        #expect(
            await failure { _ = try await client.ask(api) }
                == .answerNotSealed(status: 401, action: action, record: nil))
        #expect(await api.sent.count == 1)
    }

    @Test func waitsAndEnrolmentsThatAreUsedUpEndInTheSameError() async throws {
        let client = try await phone.enrolled()
        let waiting = SealingAPI(phone.service, .clear(.refusing(.backOff, ["retry-after": "60"])))
        #expect(
            await failure { _ = try await client.ask(waiting) }
                == .answerNotSealed(status: 401, action: .backOff, record: nil))
        let enrolling = SealingAPI(phone.service, .clear(.refusing(.enrolAgain)))
        for _ in 0..<2 {
            #expect(
                await failure { _ = try await client.ask(enrolling) }
                    == .answerNotSealed(status: 401, action: .enrolAgain, record: nil))
        }
        #expect(phone.attestor.attestCalls == 2)
    }

    @Test func whatMayHaveHadItsEffectIsForTheCallerHereToo() async throws {
        let client = try await phone.enrolled()
        let api = SealingAPI(phone.service, .clear(.refusing(.renew)))
        #expect(await failure { _ = try await client.ask(api, repeatable: false) } == .outcomeUnknown(.renew))
    }

    @Test func anActionIsReadFromInsideAndNotFromOutside() async throws {
        let client = try await phone.enrolled()
        let inside = SealingAPI(
            phone.service, .sealed(status: 401, fields: [("bonafide-action", "renew")]), .sealed())
        #expect(try await client.ask(inside) == "200 secret ")
        #expect(await inside.sent.count == 2)
        let outside = SealingAPI(
            phone.service,
            .decorated(["bonafide-action": "renew", "x-note": "outside", "location": "/", "set-cookie": "a=1"]))
        #expect(try await client.ask(outside) == "200 secret ")
        #expect(await outside.sent.count == 1)
        #expect(phone.service.count(.renewals) == 1)
    }

    @Test func eachAttemptHasAKeyOfItsOwn() async throws {
        let client = try await phone.enrolled()
        let renewing = SealingAPI(
            phone.service, .sealed(status: 401, fields: [("bonafide-action", "renew")]), .replayed)
        #expect(await failure { _ = try await client.ask(renewing) } == .sealRefused("sealed.session_mismatch"))
        let signing = SealingAPI(
            phone.service, .sealed(status: 401, fields: [("bonafide-action", "sign_again")]), .replayed)
        #expect(await failure { _ = try await client.ask(signing) } == .sealRefused("sealed.record_invalid"))
    }

    @Test func anAnswerToAnotherQuestionIsRefused() async throws {
        let client = try await phone.enrolled()
        let api = SealingAPI(phone.service, .sealed(), .replayed)
        #expect(try await client.ask(api) == "200 secret ")
        #expect(await failure { _ = try await client.ask(api) } == .sealRefused("sealed.record_invalid"))
        let other = SealingAPI(phone.service, .edited { _ in Phone.sealedForAnother })
        #expect(await failure { _ = try await client.ask(other) } == .sealRefused("sealed.session_mismatch"))
    }

    @Test(arguments: [201, 302, 404, 500]) func anAnswerUnderAnotherStatusIsRefused(status: Int) async throws {
        let client = try await phone.enrolled()
        #expect(try await client.ask(SealingAPI(phone.service, .restated(200))) == "200 secret ")
        let api = SealingAPI(phone.service, .restated(status))
        #expect(await failure { _ = try await client.ask(api) } == .sealRefused("sealed.record_invalid"))
    }

    @Test func aCodingOutsideIsRefused() async throws {
        let client = try await phone.enrolled()
        let plain = SealingAPI(phone.service, .decorated(["content-encoding": "identity"]))
        #expect(try await client.ask(plain) == "200 secret ")
        for coding in ["gzip", "br", "aes128gcm", "identity, gzip"] {
            let api = SealingAPI(phone.service, .decorated(["content-encoding": coding]))
            #expect(await failure { _ = try await client.ask(api) } == .sealRefused("sealed.header_refused"))
        }
    }

    @Test func headIsNotAskedForSealed() async throws {
        let client = try await phone.enrolled()
        let head = try RequestHead(
            method: "HEAD", scheme: "https", authority: "api.example.com", target: Phone.head.target,
            contentDigest: Phone.head.contentDigest)
        let api = SealingAPI(phone.service, .sealed())
        guard case .requestNotSignable = await failure({ _ = try await client.ask(api, head: head) }) else {
            Issue.record("it was sent")
            return
        }
        #expect(await api.sent.isEmpty)
    }

    @Test func aQuestionIsNotPrinted() async throws {
        let fields = try await phone.enrolled().prove()
        let question = try #require(fields.question)
        let key = "\(question.session.key)"
        #expect(!key.isEmpty)
        #expect("\(question)" == "Question(redacted)")
        var dumped = String(reflecting: fields) + "\(fields)"
        dump(fields, to: &dumped)
        #expect(!dumped.contains(key))
        #expect(dumped.contains("Question(redacted)"))
    }
}

extension Phone {
    /// A well-formed answer under a session that nobody here has.
    fileprivate static let sealedForAnother = AnswerSealer.seal(
        Array("secret".utf8),
        AnswerKey(session: [UInt8](repeating: 3, count: 16), key: [UInt8](repeating: 3, count: 32)), status: 200,
        fields: [])
}
