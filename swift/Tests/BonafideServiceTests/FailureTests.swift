import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation
import Testing

/// What befalls phones and networks, against the real service: each heals or fails as documented, and the calls of
/// `attestKey` are counted.
@Suite(.serialized, .enabled(if: RunningService.isPossible, "make setup makes the Python that the service runs in"))
struct FailureTests {
    private static let service = Result { try RunningService() }
    private let service: RunningService

    init() throws {
        service = try Self.service.get()
        _ = try service.reasons()  // those of the test before
    }

    // Time

    @Test func aClockThatIsAnHourWrongFailsAndSaysByHowMuch() async throws {
        let phone = Phone(service)
        phone.clock.set(by: 3600)
        let error = await #expect(throws: BonafideError.self) { try await phone.get("/api/config") }
        guard case .clockWrong(let seconds?) = error else { return #expect(error == nil) }
        #expect((3000...4200).contains(seconds))  // it is about an hour, however slow the machine
        #expect(try service.reasons().allSatisfy { $0 == "proof.created_in_future" })
        // The user sets the clock, and the same pair goes on.
        phone.clock.set(by: -3600)
        #expect(try await phone.get("/api/config").status == 200)
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test(arguments: [-240.0, 240.0]) func aClockThatIsMinutesWrongIsMended(_ seconds: Double) async throws {
        let phone = Phone(service)
        phone.clock.set(by: seconds)
        #expect(try await phone.get("/api/config").status == 200)
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func aClockThatIsSetByAnHourAfterEnrolmentChangesNothing() async throws {
        let phone = Phone(service)
        #expect(try await phone.get("/api/config").status == 200)
        phone.clock.set(by: -3600)
        #expect(try await phone.get("/api/config").status == 200)
        #expect(phone.network.sent == ["challenge", "instances"])
    }

    @Test func aForgedDateMovesTheClockByFiveMinutesAtMost() async throws {
        let phone = Phone(service)
        phone.network.expect(
            .forged { answer in
                ServiceAnswer(
                    head: AnswerHead(status: answer.head.status, fields: ["Date": "Sat, 01 Jan 2050 00:00:00 GMT"]),
                    body: answer.body)
            }, "challenge")
        // Five minutes ahead is refused by the service, whose true date mends it.
        #expect(try await phone.get("/api/config").status == 200)
        #expect(try service.reasons().contains("proof.created_in_future"))
        #expect(phone.attestor.attestCalls == 1)
    }

    // Keys

    @Test func aReinstalledAppIsTheSameInstanceWithANewKey() async throws {
        let phone = Phone(service)
        #expect(try await phone.get("/api/config").status == 200)
        let before = try #require(try service.instances().last)
        let again = phone.reinstalled()
        #expect(try await again.get("/api/config").status == 200)
        #expect(phone.attestor.attestCalls == 2)
        let after = try #require(try service.instances().first { $0["instance"] == before["instance"] })
        #expect(after["jkt"] == before["jkt"])
        #expect(after["key_id"] != before["key_id"])
    }

    @Test func aRestoredPhoneIsANewInstance() async throws {
        let phone = Phone(service)
        #expect(try await phone.get("/api/config").status == 200)
        let count = try service.instances().count
        phone.storage.record = nil  // the Keychain's items of this device alone do not move
        #expect(try await phone.reinstalled().get("/api/config").status == 200)
        #expect(phone.attestor.attestCalls == 2)
        #expect(try service.instances().count == count + 1)
    }

    @Test func aKeyIdThatTheEnclaveForgotIsReplacedOnce() async throws {
        let phone = Phone(service)
        phone.network.expect(.down, "challenge")
        await #expect(throws: BonafideError.self) { try await phone.get("/api/config") }
        phone.attestor.forgetKeys()  // the stored key id is stale now
        #expect(try await phone.get("/api/config").status == 200)
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.attestor.keysMade == 2)
    }

    @Test func aDevelopmentKeyInProductionIsRefusedForGoodAndNotRepeated() async throws {
        let phone = Phone(service, environment: .development, validationCategory: 3)
        await #expect(throws: BonafideError.self) { try await phone.get("/api/config") }
        #expect(try service.reasons() == ["app_attest.environment_refused"])
        await #expect(throws: BonafideError.stopped(.giveUp)) { try await phone.get("/api/config") }
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.network.sent == ["challenge", "instances"])
    }

    @Test func theTestFlightBuildOverARefusedDevelopmentBuildEnrols() async throws {
        let xcode = Phone(service, environment: .development, validationCategory: 3)
        await #expect(throws: BonafideError.self) { try await xcode.get("/api/config") }
        let testFlight = xcode.builtAgain(.production)
        #expect(try await testFlight.get("/api/config").status == 200)
        #expect(testFlight.attestor.attestCalls == 1)
        #expect(xcode.attestor.attestCalls == 1)
    }

    // Apple

    @Test func throttlingKeepsTheKeyAndAsksLater() async throws {
        let phone = Phone(service)
        phone.attestor.failNextAttestations([.unavailable])
        let error = await #expect(throws: BonafideError.self) { try await phone.get("/api/config") }
        guard case .throttled(let wait) = error else { return #expect(error == nil) }
        await #expect(throws: BonafideError.self) { try await phone.get("/api/config") }
        #expect(phone.attestor.attestCalls == 1)
        phone.clock.leap(wait)  // at most fifteen seconds: still a proof that is fresh
        let later = phone.startedAgain()
        #expect(try await later.get("/api/config").status == 200)
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.attestor.keysMade == 1)
        // Its leap put the phone ahead of the service, which mends that in one answer.
        #expect(phone.network.sent + later.network.sent == ["challenge", "instances", "instances"])
    }

    @Test func twoRejectedKeysAreNotFollowedByAThird() async throws {
        let phone = Phone(service)
        phone.attestor.failNextAttestations([.invalidKey, .invalidKey])
        await #expect(throws: BonafideError.attestationFailed("invalidKey")) { try await phone.get("/api/config") }
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.attestor.keysMade == 2)
    }

    // Network

    @Test(arguments: ["challenge", "instances"]) func aLostAnswerCostsNoOtherAttestation(_ path: String) async throws {
        let phone = Phone(service)
        let count = try service.instances().count
        phone.network.expect(.answersAreLost, path)
        await #expect(throws: BonafideError.self) { try await phone.get("/api/config") }
        #expect(try await phone.startedAgain().get("/api/config").status == 200)
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.attestor.keysMade == 1)
        #expect(try service.instances().count == count + 1)
    }

    @Test func aServiceThatIsDownIsAnErrorAndThenGoesOn() async throws {
        let phone = Phone(service)
        try service.tell("stop_server")
        await #expect(throws: BonafideError.self) { try await phone.get("/api/config") }
        try service.tell("start_server")
        #expect(try await phone.get("/api/config").status == 200)
        #expect(phone.attestor.attestCalls == 1)
    }

    // Forgeries

    @Test func aReplacedSessionIsRefusedAndTheTrueOneTakenLater() async throws {
        let phone = Phone(service)
        let other = Phone(service)
        let stolen = Guarded<[UInt8]>([])
        other.network.expect(
            .forged { answer in
                stolen.withLock { $0 = answer.body }
                return answer
            }, "instances")
        #expect(try await other.get("/api/config").status == 200)
        let body = stolen.withLock { $0 }
        phone.network.expect(.forged { ServiceAnswer(head: $0.head, body: body) }, "instances")
        await #expect(throws: BonafideError.answerRefused("session.decryption_failed")) {
            try await phone.get("/api/config")
        }
        #expect(try await phone.get("/api/config").status == 200)
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test(arguments: Action.allCases) func aForgedActionIsFollowedWithinItsBound(_ action: Action) async throws {
        let phone = Phone(service)
        let fields = ["Bonafide-Action": action.rawValue, "Retry-After": "1"]
        phone.network.expect(
            .forged { _ in ServiceAnswer(head: AnswerHead(status: 401, fields: fields), body: []) }, "instances",
            times: 1000)
        await #expect(throws: BonafideError.self) { try await phone.get("/api/config") }
        #expect(phone.attestor.attestCalls <= 2)
        #expect(phone.network.sent.count <= 6)
    }

    @Test func aServiceThatForgotTheInstanceIsEnrolledWithOnceADay() async throws {
        let phone = Phone(service)
        #expect(try await phone.get("/api/config").status == 200)
        // The second start remembers by how much the first one's clock was wrong.
        for (isFirst, leap) in [(true, 298.0), (false, 596.0)] {
            let instance = try #require(try service.instances().last?["instance"]?.text)
            try service.tell("forget", ["instance": instance])
            let later = phone.startedAgain()
            phone.clock.leap(leap)
            if isFirst {
                #expect(try await later.get("/api/config").status == 200)
            } else {
                await #expect(throws: BonafideError.self) { try await later.get("/api/config") }
                #expect(try service.reasons().last == "enrolment.instance_unknown")
            }
            phone.clock.leap(-leap)
            #expect(phone.attestor.attestCalls == 2)
        }
    }

    @Test func aBannedPhoneIsRefusedAndDoesNotEnrolForEver() async throws {
        let phone = Phone(service)
        #expect(try await phone.get("/api/config").status == 200)
        let instance = try #require(try service.instances().last?["instance"]?.text)
        try service.tell("ban", ["instance": instance])
        for _ in 0..<5 { #expect(try await phone.get("/api/config").status == 403) }
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.network.sent == ["challenge", "instances"])
    }

    // Devices

    @Test func aDeviceWithoutAppAttestFollowsPolicyAndIsNeverAdmittedSilently() async throws {
        let phone = Phone(service)
        phone.attestor.failNextKeys([.unsupported, .unsupported])
        await #expect(throws: BonafideError.unsupportedDevice) { try await phone.get("/api/config") }
        #expect(phone.network.sent.isEmpty)
        let lenient = phone.startedAgain { $0.unsupportedDevices = .enrolWithoutEvidence }
        let error = await #expect(throws: BonafideError.self) { try await lenient.get("/api/config") }
        guard case .refused = error else { return #expect(error == nil) }
        #expect(lenient.network.sent == ["challenge", "instances"])
        #expect(try service.reasons().count == 1)
        #expect(phone.attestor.attestCalls == 0)
    }

    @Test func anExtensionUsesWhatTheAppEnrolled() async throws {
        let phone = Phone(service)
        let lone = phone.startedAgain { $0.role = .appExtension }
        await #expect(throws: BonafideError.appMustRun) { try await lone.get("/api/config") }
        #expect(try await phone.get("/api/config").status == 200)
        let beside = phone.startedAgain { $0.role = .appExtension }
        #expect(try await beside.get("/api/config").status == 200)
        #expect(beside.network.sent.isEmpty)
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.attestor.assertCalls == 0)
    }
}
