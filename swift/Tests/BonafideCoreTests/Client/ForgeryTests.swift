import BonafideTestSupport
import Testing

@testable import BonafideCore

/// Answers that are not the service's, or not for this device: each is refused by its code, and what is stored stays,
/// so that the true answer heals without `attestKey`.
@Suite struct ForgeryTests {
    private let phone = Phone()

    /// A way to replace the session of an answer.
    struct Forgery: CustomTestStringConvertible {
        let code: String
        let change: @Sendable (inout SessionClaims) -> Void
        var testDescription: String { code }

        init(_ code: String, _ change: @escaping @Sendable (inout SessionClaims) -> Void) {
            self.code = "session." + code
            self.change = change
        }
    }

    static let forgeries = [
        Forgery("app_mismatch") { $0.app = "other" },
        Forgery("instance_mismatch") { $0.instance = "simulated-2" },
        Forgery("jkt_mismatch") { $0.jkt = SoftwareSigningKey().publicKey.thumbprint(SoftwareCrypto()) },
        Forgery("challenge_mismatch") { $0.challenge = "AAAA" },
        Forgery("lifetime_refused") { $0.expiresAt = $0.issuedAt + 3601 },
        Forgery("lifetime_refused") { $0.expiresAt = $0.issuedAt },
        Forgery("lifetime_refused") { $0.expiresAt = $0.issuedAt - 1 },
        Forgery("claims_malformed") { $0.issuedAt = -1 },
        Forgery("claims_malformed") { $0.expiresAt = 1 << 52 },
        Forgery("claims_malformed") { $0.id = [1] },
        Forgery("claims_malformed") { $0.key = [] },
    ]

    @Test(arguments: forgeries, [true, false])
    func aSessionThatIsNotForThisIsRefused(_ forgery: Forgery, _ isRenewal: Bool) async throws {
        let phone = phone
        try await refuses(.answerRefused(forgery.code), isRenewal) { answer in
            phone.replacingSession(of: answer) { claims, issuer, recipient in
                forgery.change(&claims)
                return try issuer.issue(claims, to: recipient)
            }
        }
    }

    @Test(arguments: [true, false]) func aSessionByAnotherKeyIsRefused(_ isRenewal: Bool) async throws {
        let phone = phone
        try await refuses(.answerRefused("session.service_key_not_pinned"), isRenewal) { answer in
            phone.replacingSession(of: answer) { claims, _, recipient in
                try SessionIssuer().issue(claims, to: recipient)
            }
        }
        try await refuses(.answerRefused("session.decryption_failed"), isRenewal) { answer in
            phone.replacingSession(of: answer) { claims, issuer, _ in
                try issuer.issue(claims, to: SoftwareAgreementKey().publicKey)
            }
        }
    }

    @Test func anEarlierSessionIsRefused() async throws {
        let earlier = Guarded<JSON?>(nil)
        phone.service.next(
            .instances,
            .forged { answer in
                earlier.withLock { $0 = JSON(octets: answer.body)?["session"] }
                return answer
            })
        let client = try await phone.enrolled()
        phone.clock.advance(301)
        let session = try #require(earlier.withLock { $0 })
        phone.service.next(.renewals, .forged(members: ["session": session]))
        #expect(await failure { try await client.prove() } == .answerRefused("session.challenge_mismatch"))
        try await client.prove()
        #expect(phone.attestor.attestCalls == 1)
    }

    static let odd: [JSON] = [
        "", "a/b", "a b", "a\r\nBonafide-Action: give_up", "a\u{0}", "ä", "a,b", "a\"b", "../..", .null, 1, [],
    ]

    @Test(arguments: ["instance", "client_attestation", "next_challenge"], odd)
    func whatCouldGoIntoAFieldOrAPathIsRefused(_ member: String, _ value: JSON) async throws {
        try await refuses(.answerRefused("members"), false, by: [member: value])
        try await refuses(.answerRefused("members"), true, by: [member: value])
    }

    @Test(arguments: [("instance", 64), ("client_attestation", 8192), ("next_challenge", 128)])
    func whatIsTooLongIsRefused(_ member: String, _ longest: Int) async throws {
        let value = JSON.string(.init(repeating: "a", count: longest + 1))
        try await refuses(.answerRefused("members"), false, by: [member: value])
    }

    @Test(arguments: [-1, .number(0.5), .null, "60", .number(1e300), .bool(true)] as [JSON])
    func aTimeOfRenewalThatIsNoneIsRefused(_ value: JSON) async throws {
        try await refuses(.answerRefused("members"), false, by: ["renew_after": value])
    }

    @Test func aTimeOfRenewalAfterTheEndIsTheEnd() async throws {
        phone.service.next(.instances, .forged(members: ["renew_after": .integer(1 << 53 - 1)]))
        try await phone.start().prove()
        #expect(phone.enrolment?.renewAt == phone.enrolment?.expiresAt)
    }

    @Test(arguments: ["", "[]", "{", "null", "{\"expires_in\":-9223372036854775808}", "{}{}"], [true, false])
    func anAnswerThatIsNoObjectOfTheRightFormIsRefused(_ text: String, _ isRenewal: Bool) async throws {
        try await refuses(.answerRefused("members"), isRenewal) { answer in
            ServiceAnswer(head: answer.head, body: Array(text.utf8))
        }
    }

    @Test(arguments: odd + [.string(.init(repeating: "a", count: 129))])
    func aChallengeThatIsNoneIsRefused(_ value: JSON) async throws {
        phone.service.next(.challenge, .forged(members: ["attestation_challenge": value]))
        let client = phone.start()
        #expect(await failure { try await client.prove() } == .answerRefused("challenge"))
        #expect(phone.state == "keyMade")
        try await client.prove()
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.attestor.keysMade == 1)
    }

    @Test(arguments: [0, -1, .null, "300", .number(1e300), .integer(-(1 << 53 - 1))] as [JSON])
    func aChallengeThatHasEndedIsRefused(_ value: JSON) async throws {
        phone.service.next(.challenge, .forged(members: ["expires_in": value]))
        let client = phone.start()
        #expect(await failure { try await client.prove() } == .answerRefused("challenge"))
        try await client.prove()
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func noChallengeIsBelievedToLastLongerThanADay() async throws {
        phone.service.next(.challenge, .forged(members: ["expires_in": .integer(1 << 53 - 1)]))
        phone.service.next(.instances, .down)
        #expect(await failure { try await phone.start().prove() } == .transport("ServiceIsDown()"))
        guard case .attested(let pending, _) = phone.record?.enrolment else {
            Issue.record("\(phone.state)")
            return
        }
        #expect(pending.ends == phone.clock.wallTime + 86_400)
    }

    @Test func aRenewalForAnotherInstanceIsRefused() async throws {
        try await refuses(.answerRefused("another instance"), true, by: ["instance": "simulated-9"])
        try await refuses(.answerRefused("session.instance_mismatch"), false, by: ["instance": "simulated-9"])
    }

    @Test(arguments: [202, 200, 302, 404, 500]) func anotherStatusIsNoEnrolment(_ status: Int) async throws {
        let refused = BonafideError.refused(status: status, action: nil, record: nil)
        try await refuses(refused, false) { answer in
            ServiceAnswer(head: AnswerHead(status: status, fields: [:]), body: answer.body)
        }
    }

    private func refuses(_ error: BonafideError, _ isRenewal: Bool, by members: [String: JSON]) async throws {
        try await refuses(error, isRenewal, by: .forged(members: members))
    }

    private func refuses(
        _ error: BonafideError, _ isRenewal: Bool, by forge: @escaping @Sendable (ServiceAnswer) -> ServiceAnswer
    ) async throws {
        try await refuses(error, isRenewal, by: .forged(forge))
    }

    /// Forges one answer, expects `error`, and then that the true answer heals.
    private func refuses(
        _ error: BonafideError, _ isRenewal: Bool, by mishap: SimulatedService.Mishap
    ) async throws {
        let client = phone.start()
        if isRenewal {
            try await client.prove()
            phone.clock.advance(301)
        } else if phone.record != nil {
            phone.storage.record = nil
        }
        let attested = phone.attestor.attestCalls
        phone.service.next(isRenewal ? .renewals : .instances, mishap)
        #expect(await failure { try await client.prove() } == error)
        #expect(phone.state == (isRenewal ? "enrolled" : "attested"))
        #expect((phone.enrolment?.renewal != nil) == isRenewal)
        try await client.prove()
        #expect(phone.state == "enrolled")
        #expect(phone.attestor.attestCalls == attested + (isRenewal ? 0 : 1))
    }
}

extension Phone {
    /// Puts another session into an answer: what `seal` makes of the claims that the true one has.
    func replacingSession(
        of answer: ServiceAnswer,
        _ seal: (inout SessionClaims, SessionIssuer, PublicKey) throws -> String
    ) -> ServiceAnswer {
        guard let record, let instance = JSON(octets: answer.body)?["instance"]?.text,
            let sign = SoftwareSigningKey(scalar: record.signingKey),
            let agree = SoftwareAgreementKey(scalar: record.agreementKey),
            case .object(let members) = JSON(octets: answer.body)
        else { return answer }
        let challenge =
            switch record.enrolment {
            case .attested(let pending, _): pending.challenge
            case .enrolled(let enrolled): enrolled.renewal?.challenge ?? ""
            default: ""
            }
        let now = Int(clock.wallTime)
        var claims = SessionClaims(
            app: Self.app, instance: instance, jkt: sign.publicKey.thumbprint(SoftwareCrypto()), challenge: challenge,
            issuedAt: now, expiresAt: now + 300)
        guard let session = try? seal(&claims, service.issuer, agree.publicKey) else { return answer }
        let replaced = members.filter { $0.name != "session" } + [JSON.Member("session", .string(session))]
        return ServiceAnswer(head: answer.head, body: JSON.object(replaced).octets)
    }
}
