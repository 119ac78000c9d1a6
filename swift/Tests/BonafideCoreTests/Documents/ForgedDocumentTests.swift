import BonafideTestSupport
import Testing

@testable import BonafideCore

/// Documents that are not the service's, or not the answer to this question: each is refused by its code, and the true
/// answer after it is taken.
@Suite struct ForgedDocumentTests {
    private let phone = Phone()

    init() {
        phone.service.setSecrets(["maps": "one"])
        phone.service.setConfiguration(shared: ["colour": "blue"], sealed: ["group": "b"])
    }

    /// One claim in the place of another.
    struct Forgery: CustomTestStringConvertible {
        let code: String
        let member: String
        let value: JSON?
        var testDescription: String { "\(code) \(member)" }

        init(_ code: String, _ member: String, _ value: JSON?) {
            self.code = "document." + code
            self.member = member
            self.value = value
        }
    }

    private static let ofAny: [Forgery] = [
        .init("app_mismatch", "app", "other"), .init("expired", "exp", 1_000_000),
        .init("claims_malformed", "exp", nil),
        .init("claims_malformed", "exp", "never"), .init("claims_malformed", "exp", .integer(1 << 52)),
        .init("claims_malformed", "iat", -1), .init("claims_malformed", "version", -1),
        .init("claims_malformed", "version", nil), .init("claims_malformed", "nbf", 0),
    ]
    static let ofSealed: [Forgery] =
        ofAny + [
            .init("instance_mismatch", "inst", "simulated-2"), .init("claims_malformed", "inst", nil),
            .init("jkt_mismatch", "jkt", .string(SoftwareSigningKey().publicKey.thumbprint(SoftwareCrypto()))),
            .init("question_mismatch", "question", .string(.init(repeating: "A", count: 43))),
            .init("question_mismatch", "question", ""), .init("claims_malformed", "question", nil),
        ]
    static let ofShared: [Forgery] = ofAny + [.init("claims_malformed", "question", "A")]

    @Test(arguments: ofSealed + [.init("claims_malformed", "secrets", ["maps": 1])])
    func secretsThatSayAnotherThingAreRefused(_ forgery: Forgery) async throws {
        try await refuses(.secrets, "secrets", forgery.code) { try $0.sealing($1.with(forgery), $1.type) }
    }

    @Test(arguments: ofSealed + [.init("claims_malformed", "values", [])])
    func aSealedPartThatSaysAnotherThingIsRefused(_ forgery: Forgery) async throws {
        try await refuses(.configuration, "sealed", forgery.code) { try $0.sealing($1.with(forgery), $1.type) }
    }

    @Test(arguments: ofShared + [.init("claims_malformed", "values", "x")])
    func aSharedPartThatSaysAnotherThingIsRefused(_ forgery: Forgery) async throws {
        try await refuses(.configuration, "public", forgery.code) { phone, document in
            try phone.service.issuer.sign(document.with(forgery).octets, type: document.type)
        }
    }

    static let types = ["bonafide-session+jwt", "bonafide-pins+jwt", "bonafide-secrets+jwt", "JWT"]

    @Test(arguments: types + ["bonafide-configuration+jwt"]) func aDocumentOfAnotherKindIsNoSecrets(_ type: String)
        async throws
    {
        guard type != "bonafide-secrets+jwt" else { return }
        try await refuses(.secrets, "secrets", "document.header_refused") { try $0.sealing($1.claims, type) }
    }

    @Test(arguments: types) func aDocumentOfAnotherKindIsNoConfiguration(_ type: String) async throws {
        try await refuses(.configuration, "sealed", "document.header_refused") { try $0.sealing($1.claims, type) }
        try await refuses(.configuration, "public", "document.header_refused") { phone, document in
            try phone.service.issuer.sign(document.claims.octets, type: type)
        }
    }

    /// The same keys seal both.
    @Test func secretsAreNoSessionAndASessionIsNoSecrets() async throws {
        let session = Guarded<JSON?>(nil)
        phone.service.next(
            .instances,
            .forged { answer in
                session.withLock { $0 = JSON(octets: answer.body)?["session"] }
                return answer
            })
        let client = try await phone.enrolled()
        let swapped = try #require(session.withLock { $0 })
        phone.service.next(.secrets, .forged(members: ["secrets": swapped]))
        #expect(await failure { _ = try await client.secrets() } == .answerRefused("document.header_refused"))
        let secrets = Guarded<JSON?>(nil)
        phone.service.next(
            .secrets,
            .forged { answer in
                secrets.withLock { $0 = JSON(octets: answer.body)?["secrets"] }
                return answer
            })
        _ = try await client.secrets()
        phone.clock.advance(301)
        phone.service.next(.renewals, .forged(members: ["session": try #require(secrets.withLock { $0 })]))
        #expect(await failure { try await client.prove() } == .answerRefused("session.header_refused"))
        try await client.prove()
    }

    @Test func aDocumentByAnotherKeyIsRefused() async throws {
        try await refuses(.secrets, "secrets", "document.service_key_not_pinned") { phone, document in
            let thief = SessionIssuer()
            return try thief.seal(thief.sign(document.claims.octets, type: document.type), to: phone.agree)
        }
        try await refuses(.configuration, "public", "document.service_key_not_pinned") { _, document in
            try SessionIssuer().sign(document.claims.octets, type: document.type)
        }
        try await refuses(.configuration, "public", "document.signature_invalid") { phone, document in
            let token = try phone.service.issuer.sign(document.claims.octets, type: document.type)
            return token.split(separator: ".").dropLast().joined(separator: ".") + "."
                + Base64.urlEncoded([UInt8](repeating: 1, count: 64))
        }
    }

    @Test func aDocumentForAnotherDeviceDoesNotOpen() async throws {
        try await refuses(.secrets, "secrets", "document.decryption_failed") { phone, document in
            let token = try phone.service.issuer.sign(document.claims.octets, type: document.type)
            return try phone.service.issuer.seal(token, to: SoftwareAgreementKey().publicKey)
        }
    }

    @Test func whatIsLongerThanItMayBeIsRefused() async throws {
        let long = JSON.string(.init(repeating: "a", count: Document.maxOctets))
        try await refuses(.secrets, "secrets", "document.malformed") { phone, document in
            try phone.sealing(document.with(.init("", "secrets", ["a": long])), document.type)
        }
        try await refuses(.configuration, "public", "document.malformed") { phone, document in
            let claims = document.with(.init("", "values", ["a": long]))
            return try phone.service.issuer.sign(claims.octets, type: document.type)
        }
    }

    /// A proxy that keeps an answer plays it again: to the same question, asked anew.
    @Test func anAnswerToAnEarlierQuestionIsRefused() async throws {
        let client = try await phone.enrolled()
        for (endpoint, ask) in Self.questions {
            let first = Guarded<ServiceAnswer?>(nil)
            phone.service.next(
                endpoint,
                .forged { answer in
                    first.withLock { $0 = answer }
                    return answer
                },
                .forged { answer in first.withLock { $0 } ?? answer })
            try await ask(client)
            #expect(await failure { try await ask(client) } == .answerRefused("document.question_mismatch"))
            try await ask(client)
        }
    }

    /// Each attempt is a question of its own.
    @Test func theAnswerToAnAttemptThatWasRefusedIsNotThatToTheNext() async throws {
        let client = try await phone.enrolled()
        let first = Guarded<ServiceAnswer?>(nil)
        phone.service.next(
            .secrets,
            .forged { answer in
                first.withLock { $0 = answer }
                return ServiceAnswer(
                    head: AnswerHead(status: 401, fields: ["bonafide-action": "sign_again"]), body: [])
            },
            .forged { answer in first.withLock { $0 } ?? answer })
        let refused = BonafideError.answerRefused("document.question_mismatch")
        #expect(await failure { _ = try await client.secrets() } == refused)
    }

    static let questions: [(SimulatedService.Endpoint, @Sendable (Client) async throws -> Void)] = [
        (.secrets, { _ = try await $0.secrets() }), (.configuration, { _ = try await $0.remoteConfiguration() }),
    ]

    /// Puts a document of its own into one answer, expects the code, and then that the true answer is taken.
    private func refuses(
        _ endpoint: SimulatedService.Endpoint, _ member: String, _ code: String,
        by forge: @escaping @Sendable (Phone, OpenedDocument) throws -> String
    ) async throws {
        let client = try await phone.enrolled()
        let ask = try #require(Self.questions.first { $0.0 == endpoint }?.1)
        phone.service.next(endpoint, .forged { [phone] in phone.replacing(member, of: $0, by: forge) })
        #expect(await failure { try await ask(client) } == .answerRefused(code))
        try await ask(client)
    }
}

/// What a true answer brought, opened.
struct OpenedDocument: Sendable {
    let type: String
    let claims: JSON

    init?(_ token: String) {
        let parts = token.split(separator: ".").map { Base64.urlDecoded($0).flatMap { JSON(octets: $0) } }
        guard parts.count == 3, let type = parts[0]?["typ"]?.text, let claims = parts[1] else { return nil }
        self.type = type
        self.claims = claims
    }

    func with(_ forgery: ForgedDocumentTests.Forgery) -> JSON {
        guard case .object(let members) = claims else { return claims }
        let kept = members.filter { $0.name != forgery.member }
        return .object(kept + (forgery.value.map { [JSON.Member(forgery.member, $0)] } ?? []))
    }
}

extension Phone {
    /// The device's key `agree`, as the service has it.
    var agree: PublicKey { agreeKey.publicKey }

    private var agreeKey: SoftwareAgreementKey {
        guard let key = record.flatMap({ SoftwareAgreementKey(scalar: $0.agreementKey) }) else {
            preconditionFailure("nothing is enrolled")
        }
        return key
    }

    /// Signs claims by the service's key, and seals them to this device.
    func sealing(_ claims: JSON, _ type: String) throws -> String {
        try service.issuer.seal(service.issuer.sign(claims.octets, type: type), to: agree)
    }

    /// Puts what `forge` makes of a document in its place.
    func replacing(
        _ member: String, of answer: ServiceAnswer, by forge: (Phone, OpenedDocument) throws -> String
    ) -> ServiceAnswer {
        guard case .object(let members) = JSONReader.object(answer.body, maxOctets: 1 << 20),
            let token = JSON.object(members)[member]?.text
        else { return answer }
        let sealed = try? SealedToken.open(token, key: agreeKey, crypto: SoftwareCrypto(), maxOctets: 1 << 20)
        let signed = sealed.map { String(decoding: $0, as: UTF8.self) } ?? token
        guard let opened = OpenedDocument(signed), let forged = try? forge(self, opened) else { return answer }
        let replaced = members.filter { $0.name != member } + [JSON.Member(member, .string(forged))]
        return ServiceAnswer(head: answer.head, body: JSON.object(replaced).octets)
    }
}
