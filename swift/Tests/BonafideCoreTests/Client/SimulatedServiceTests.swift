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
