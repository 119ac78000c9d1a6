import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation
import Testing

/// The same mitmproxy against what the service gives an app: its session, its secrets, its pins.
@Suite(.serialized, .enabled(if: RunningService.hasProxy, "make setup-mitmproxy makes the proxy's environment"))
struct ProxyDocumentTests {
    private static let service = Result { try RunningService("--proxy") }
    private let service: RunningService
    private let proxy: Interceptor

    private static let secrets = "/bonafide/v1/secrets"
    private static let pins = "/bonafide/v1/pins"

    init() throws {
        service = try Self.service.get()
        proxy = Interceptor(service: service)
    }

    @Test func aSessionOfTheProxysIsRefusedAndTheTrueOneTakenLater() async throws {
        let phone = Phone(service)
        await #expect(throws: BonafideError.answerRefused("session.service_key_not_pinned")) {
            try await proxy.doing(["do": "replace_session"]) { try await phone.get("/api/config") }
        }
        #expect(try await phone.get("/api/config").status == 200)
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func aSessionIsNotSealedToAKeyOfTheProxys() async throws {
        // The key of RFC 7517 appendix A.1.
        let key: JSON = [
            "kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        ]
        _ = try service.reasons()
        let phone = Phone(service)
        let error = await #expect(throws: BonafideError.self) {
            try await proxy.doing(["do": "replace_agree_key", "agree_jwk": key]) { try await phone.get("/api/config") }
        }
        guard case .refused(401, .giveUp, let record?) = error else { return #expect(error == nil) }
        #expect(!record.isEmpty)
        #expect(try service.reasons() == ["proof.digest_mismatch"])
        #expect(try await phone.startedAgain().get("/api/config").status == 200)
    }

    @Test func secretsThatAnsweredAnEarlierQuestionAreRefused() async throws {
        try service.tell("set_value", ["kind": "secret", "name": "maps", "value": #""the key""#])
        let phone = Phone(service)
        let earlier = try await proxy.recorded(Self.secrets) { _ = try await phone.bonafide.secrets() }
        #expect(Data(earlier.body).range(of: Data("the key".utf8)) == nil)
        await #expect(throws: BonafideError.answerRefused("document.question_mismatch")) {
            try await proxy.doing(earlier.again()) { try await phone.bonafide.secrets() }
        }
        #expect(try await phone.bonafide.secrets()["maps"] == "the key")
    }

    @Test func anotherPhonesSecretsDoNotOpen() async throws {
        try service.tell("set_value", ["kind": "secret", "name": "maps", "value": #""the key""#])
        let other = Phone(service)
        let others = try await proxy.recorded(Self.secrets) { _ = try await other.bonafide.secrets() }
        let phone = Phone(service)
        await #expect(throws: BonafideError.answerRefused("document.decryption_failed")) {
            try await proxy.doing(others.again()) { try await phone.bonafide.secrets() }
        }
        #expect(try await phone.bonafide.secrets()["maps"] == "the key")
    }

    @Test func pinsThatTheProxySignedAreRefused() async throws {
        try publish(1)
        let phone = Phone(service)
        let forging: JSON = ["do": "replace_pins"]
        let forged = BonafideError.answerRefused("document.service_key_not_pinned")
        await #expect(throws: forged) {
            try await proxy.doing(forging) { try await phone.bonafide.refreshPins() }
        }
        #expect(try await phone.bonafide.refreshPins())
        await #expect(throws: forged) {
            try await proxy.doing(forging) { try await phone.bonafide.refreshPins() }
        }
        #expect(try await !phone.bonafide.refreshPins(), "those that the service signed hold still")
    }

    @Test func pinsFromBeforeAreRefusedAlthoughTheServiceSignedThem() async throws {
        try publish(2)
        let phone = Phone(service)
        let earlier = try await proxy.recorded(Self.pins) { _ = try await phone.bonafide.refreshPins() }
        // As long as they are the newest, they are the answer.
        let isNew = try await proxy.doing(earlier.again()) { try await phone.bonafide.refreshPins() }
        #expect(!isNew)
        try publish(3)
        #expect(try await phone.bonafide.refreshPins())
        await #expect(throws: BonafideError.answerRefused("document.version_lower")) {
            try await proxy.doing(earlier.again()) { try await phone.bonafide.refreshPins() }
        }
        #expect(try await !phone.bonafide.refreshPins())
    }

    private func publish(_ octet: UInt8) throws {
        let pins = [octet, 99].map { Data(repeating: $0, count: 32).base64EncodedString() }
        try service.tell(
            "publish_pins", ["host": "api.example.com", "pins": pins.joined(separator: " "), "days": "30"])
    }
}
