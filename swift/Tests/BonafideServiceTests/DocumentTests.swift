import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation
import Testing

/// Secrets, configuration and pins as the real service hands them out.
@Suite(.serialized, .enabled(if: RunningService.isPossible, "make setup makes the Python that the service runs in"))
struct DocumentTests {
    private static let service = Result { try RunningService() }
    private let service: RunningService

    private struct Flags: Decodable, Equatable {
        let colour: String
        let limits: [String: Int]
    }

    init() throws { service = try Self.service.get() }

    @Test func aSecretReachesTheAppAndItsSuccessorTheNextQuestion() async throws {
        let phone = Phone(service)
        try service.tell("set_value", ["kind": "secret", "name": "maps", "value": #""first, ä\n""#])
        let first = try await phone.bonafide.secrets()
        #expect(first["maps"] == "first, ä\n")
        #expect(first.expires > Date())
        try service.tell("set_value", ["kind": "secret", "name": "maps", "value": #""second""#])
        let second = try await phone.bonafide.secrets()
        #expect(second["maps"] == "second")
        #expect(second.version == first.version + 1)
        #expect(try await phone.startedAgain().bonafide.secrets()["maps"] == "second")
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func theConfigurationBecomesTheAppsOwnType() async throws {
        let phone = Phone(service)
        try service.tell("set_value", ["kind": "public", "name": "colour", "value": #""blue""#])
        try service.tell("set_value", ["kind": "public", "name": "limits", "value": #"{"items": 20}"#])
        try service.tell("set_value", ["kind": "sealed", "name": "group", "value": #""b""#])
        let configuration = try await phone.bonafide.configuration()
        #expect(try configuration.shared.decode() == Flags(colour: "blue", limits: ["items": 20]))
        #expect(try configuration.sealed.decode() == ["group": "b"])
    }

    @Test func pinsThatArePublishedAnewReachTheAppAndAnEarlierDocumentDoesNotTakeTheirPlace() async throws {
        let earlier = Answers()
        let phone = Phone(service)
        let first = try publish(1)
        phone.network.expect(.forged { earlier.keep($0) }, "pins")
        #expect(try await phone.bonafide.refreshPins())
        #expect(try await !phone.bonafide.refreshPins(), "the same once more is nothing new")
        try publish(2)
        #expect(try await phone.bonafide.refreshPins())
        for phone in [phone, phone.startedAgain { $0.pins = first }] {
            phone.network.expect(.forged { _ in earlier.first }, "pins")
            let lower = BonafideError.answerRefused("document.version_lower")
            await #expect(throws: lower) { try await phone.bonafide.refreshPins() }
        }
    }

    @Test func anAnswerToAnEarlierQuestionIsRefused() async throws {
        let earlier = Answers()
        let phone = Phone(service)
        try service.tell("set_value", ["kind": "secret", "name": "maps", "value": #""first""#])
        phone.network.expect(.forged { earlier.keep($0) }, "secrets")
        _ = try await phone.bonafide.secrets()
        phone.network.expect(.forged { _ in earlier.first }, "secrets")
        let replayed = BonafideError.answerRefused("document.question_mismatch")
        await #expect(throws: replayed) { try await phone.bonafide.secrets() }
    }

    @Test func anotherPhonesSecretsDoNotOpen() async throws {
        let others = Answers()
        let other = Phone(service)
        try service.tell("set_value", ["kind": "secret", "name": "maps", "value": #""first""#])
        other.network.expect(.forged { others.keep($0) }, "secrets")
        _ = try await other.bonafide.secrets()
        let phone = Phone(service)
        phone.network.expect(.forged { _ in others.first }, "secrets")
        let foreign = BonafideError.answerRefused("document.decryption_failed")
        await #expect(throws: foreign) { try await phone.bonafide.secrets() }
    }

    @Test func aBannedInstanceGetsNothing() async throws {
        let phone = Phone(service)
        _ = try await phone.bonafide.secrets()
        let instance = try #require(try service.instances().last?["instance"]?.text)
        try service.tell("ban", ["instance": instance])
        let error = await #expect(throws: BonafideError.self) { try await phone.bonafide.secrets() }
        guard case .refused(_, _, let record) = error else { return #expect(error == nil) }
        #expect(record != nil)
    }

    @discardableResult private func publish(_ octet: UInt8) throws -> String {
        let pins = [octet, 99].map { Data(repeating: $0, count: 32).base64EncodedString() }
        let answer = try service.tell(
            "publish_pins", ["host": "api.example.com", "pins": pins.joined(separator: " "), "days": "30"])
        return try #require(answer["document"]?.text)
    }
}

/// The first answer that came, for later.
private final class Answers: @unchecked Sendable {  // the lock makes it so
    private let lock = NSLock()
    private var kept: [ServiceAnswer] = []

    func keep(_ answer: ServiceAnswer) -> ServiceAnswer {
        lock.withLock { kept.append(answer) }
        return answer
    }

    var first: ServiceAnswer { lock.withLock { kept[0] } }
}
