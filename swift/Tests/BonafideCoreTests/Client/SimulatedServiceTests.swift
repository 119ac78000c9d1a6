import BonafideTestSupport
import Testing

@testable import BonafideCore

/// The service in memory refuses what a real one would: a test that passes before it means something.
@Suite struct SimulatedServiceTests {
    private let phone = Phone()

    private func start(_ change: @escaping @Sendable (ServiceMessage) -> ServiceMessage) -> Client {
        phone.start { [phone] _, world in world.transport = Rewriting(service: phone.service, change: change) }
    }

    @Test(arguments: ["signature", "signature-input", "content-digest", "content-type"])
    func aMessageWithoutAFieldOfItsProofIsRefused(_ name: String) async throws {
        let client = start { message in
            ServiceMessage(url: message.url, headers: message.headers.filter { $0.name != name }, body: message.body)
        }
        let refused = BonafideError.refused(status: 401, action: nil, record: "simulated")
        #expect(await failure { try await client.prove() } == refused)
        #expect(phone.service.instances.isEmpty)
    }

    @Test func aMessageThatWasChangedOnItsWayIsRefused() async throws {
        let client = start { message in
            guard message.url.hasSuffix("/instances") else { return message }
            var body = message.body
            body[body.count / 2] ^= 1
            return ServiceMessage(url: message.url, headers: message.headers, body: body)
        }
        #expect(await failure { try await client.prove() } != nil)
        #expect(phone.service.instances.isEmpty)
        try await phone.start().prove()
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func aMessageToAnotherAddressIsRefused() async throws {
        let client = start { message in
            let url = "https://evil.example/bonafide/v1/" + (message.url.split(separator: "/").last ?? "")
            return ServiceMessage(url: url, headers: message.headers, body: message.body)
        }
        let refused = BonafideError.refused(status: 401, action: nil, record: "simulated")
        #expect(await failure { try await client.prove() } == refused)
        #expect(phone.service.instances.isEmpty)
    }

    @Test(arguments: [-61.0, 6.0])
    func aMessageOfAnotherTimeIsRefusedUntilTheClockIsMended(_ skew: Double) async throws {
        try await phone.enrolled().prepare()
        let client = phone.start()
        phone.clock.advance(301)
        phone.service.skew = -skew
        phone.service.next(.renewals, .refused(.init(action: .signAgain, date: "-")))
        try await client.prove()  // mended by the Date of a refusal
        #expect(phone.service.count(.renewals) == 3)
    }

    /// One thing in a question that is not as it was signed.
    struct Edit: CustomTestStringConvertible {
        let testDescription: String
        let change: @Sendable (ServiceMessage) -> ServiceMessage

        init(_ name: String, _ change: @escaping @Sendable (ServiceMessage) -> ServiceMessage) {
            testDescription = name
            self.change = change
        }

        static func header(_ name: String, _ change: @escaping @Sendable (String) -> String?) -> Edit {
            Edit(name) { message in
                let headers = message.headers.compactMap { header in
                    guard header.name == name else { return header }
                    return change(header.value).map { (name: name, value: $0) }
                }
                return ServiceMessage(method: "GET", url: message.url, headers: headers, body: message.body)
            }
        }
    }

    static let edits: [Edit] = [
        .header("signature") { _ in nil }, .header("signature") { _ in "bonafide=:AAAA:" },
        .header("signature-input") { $0.replacing("created=1", with: "created=2") },
        .header("oauth-client-attestation") { _ in "a.b.c" }, .header("oauth-client-attestation") { _ in nil },
        .header("content-digest") { _ in "sha-256=:AAAA:" },
        Edit("url") { message in
            ServiceMessage(
                method: "GET", url: message.url.replacing("api.", with: "api2."), headers: message.headers,
                body: message.body)
        },
        Edit("body") { ServiceMessage(method: "GET", url: $0.url, headers: $0.headers, body: [1]) },
        Edit("method") { ServiceMessage(method: "POST", url: $0.url, headers: $0.headers, body: $0.body) },
    ]

    @Test(arguments: edits) func aQuestionThatWasChangedOnItsWayIsNotAnswered(_ edit: Edit) async throws {
        try await phone.enrolled().prepare()
        let client = start { $0.url.hasSuffix("/configuration") ? edit.change($0) : $0 }
        guard case .refused = await failure({ _ = try await client.remoteConfiguration() }) else {
            Issue.record("it was answered")
            return
        }
        _ = try await phone.start().remoteConfiguration()
    }

    @Test func aQuestionIsAnsweredOnceAndSecretsOnlyToAHardwareProof() async throws {
        let sent = Guarded<ServiceMessage?>(nil)
        let client = start { message in
            if message.method == "GET" { sent.withLock { $0 = message } }
            return message
        }
        _ = try await client.remoteConfiguration()
        let asked = try #require(sent.withLock { $0 })
        #expect(try await phone.service.send(asked).head.action == .signAgain)
        let fields = try await client.prove(phone.question("/secrets"), proof: .session)
        let headers = fields.all.map { (name: $0.name.lowercased(), value: $0.value) }
        let message = ServiceMessage(
            method: "GET", url: "\(phone.configuration.service)/secrets", headers: headers, body: [])
        #expect(try await phone.service.send(message).head.action == .signAgain)
    }

    @Test func aChallengeIsForOneMessageAndItsRepetition() async throws {
        let sent = Guarded<[ServiceMessage]>([])
        let client = start { message in
            sent.withLock { $0.append(message) }
            return message
        }
        try await client.prove()
        let enrolment = try #require(sent.withLock { $0.last })
        let replayed = try await phone.service.send(enrolment)
        #expect(replayed.head.action == .signAgain)  // the same proof
        #expect(phone.service.instances.count == 1)
        phone.storage.record = nil
        let challenge = try #require(sent.withLock { $0.first })
        let other = phone.start { [phone] _, world in
            world.transport = Answering(service: phone.service, challenge: challenge)
        }
        try await other.prove()
        #expect(phone.service.instances.count == 2)
    }

    @Test func anotherAppIsRefused() async throws {
        let client = phone.start { configuration, _ in configuration.app = "other" }
        let refused = BonafideError.refused(status: 400, action: .updateApp, record: "simulated")
        #expect(await failure { try await client.prove() } == refused)
    }

    @Test func nothingElseIsServed() async throws {
        for url in ["https://a/b/jwks.json", "https://a", "https://a/x/y/renewals", "https://a/renewals"] {
            let answer = try await phone.service.send(ServiceMessage(url: url, headers: [], body: []))
            #expect(answer.head.status == 404)
        }
        #expect(phone.service.messages == 0)
    }

    @Test func aCountIsKeptOfEveryMessage() async throws {
        phone.service.next(.challenge, .down, .answerLost, .refused(.init(status: 500)))
        let client = phone.start()
        for _ in 0..<3 { #expect(await failure { try await client.prove() } != nil) }
        try await client.prove()
        #expect(phone.service.count(.challenge) == 4)
        #expect(phone.service.messages == 5)
    }
}

/// Changes messages on their way.
struct Rewriting: Transport {
    let service: SimulatedService
    let change: @Sendable (ServiceMessage) -> ServiceMessage

    func send(_ message: ServiceMessage) async throws -> ServiceAnswer { try await service.send(change(message)) }
}

/// Has every challenge asked for by the same octets, which nobody signs.
private struct Answering: Transport {
    let service: SimulatedService
    let challenge: ServiceMessage

    func send(_ message: ServiceMessage) async throws -> ServiceAnswer {
        try await service.send(message.url == challenge.url ? challenge : message)
    }
}

extension Phone {
    /// What asks the service for something.
    fileprivate func question(_ path: String) throws -> RequestHead {
        let target = try #require(Target(canonical: "/bonafide/v1\(path)"))
        return try RequestHead(
            method: "GET", scheme: "https", authority: "api.example.com", target: target,
            contentDigest: ContentDigest(of: [], crypto: SoftwareCrypto()))
    }
}
