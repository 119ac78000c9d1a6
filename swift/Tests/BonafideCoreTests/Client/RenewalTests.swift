import BonafideTestSupport
import Testing

@testable import BonafideCore

/// When an attestation is renewed, by how many messages, and what happens while it is.
@Suite struct RenewalTests {
    private let phone = Phone()

    @Test func aFreshAttestationCostsNoMessageAndNoStorage() async throws {
        let client = try await phone.enrolled()
        let loads = phone.storage.loads
        phone.clock.advance(239)
        for _ in 0..<100 { try await client.prove() }
        try await client.prove(.hardware)
        try await client.prepare()
        #expect(phone.service.messages == 2)
        #expect(phone.storage.loads == loads)
    }

    @Test func anAttestationThatEndedIsRenewedOnceForAThousandRequests() async throws {
        let client = try await phone.enrolled()
        let old = phone.enrolment?.attestation
        phone.clock.advance(295)  // five seconds before its end: requests take time
        let attestations = try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<1000 { group.addTask { try await client.prove().clientAttestation } }
            return try await group.reduce(into: Set<String?>()) { $0.insert($1) }
        }
        #expect(attestations == [phone.enrolment?.attestation])
        #expect(!attestations.contains(old))
        #expect(phone.service.count(.renewals) == 1)
        #expect(phone.service.count(.challenge) == 1)
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.attestor.assertCalls == 0)
    }

    @Test func anAttestationIsUsedUntilFiveSecondsBeforeItsEnd() async throws {
        let client = try await phone.enrolled()
        let old = phone.enrolment?.attestation
        phone.service.always(.renewals, .down)
        phone.clock.advance(294.9)
        #expect(try await client.prove().clientAttestation == old)
        phone.clock.advance(0.1)
        #expect(await failure { try await client.prove() } == .transport("ServiceIsDown()"))
    }

    @Test func aShortLifeIsUsedForNineTenthsOfIt() async throws {
        phone.service.lifetime = 10
        let client = try await phone.enrolled()
        let old = phone.enrolment?.attestation
        phone.service.always(.renewals, .down)
        phone.clock.advance(8.9)
        #expect(try await client.prove().clientAttestation == old)
        phone.clock.advance(0.1)
        #expect(await failure { try await client.prove() } != nil)
    }

    @Test func renewalBeginsEarlyBesideTheRequests() async throws {
        let client = try await phone.enrolled()
        let old = phone.enrolment?.attestation
        phone.service.hold(.renewals)
        phone.clock.advance(240)
        for _ in 0..<50 { #expect(try await client.prove().clientAttestation == old) }
        await phone.service.untilHeld(.renewals)
        #expect(try await client.prove().clientAttestation == old)
        phone.service.release(.renewals)
        await until { phone.enrolment?.attestation != old && phone.record?.lease == nil }
        #expect(try await client.prove().clientAttestation == phone.enrolment?.attestation)
        #expect(phone.service.count(.renewals) == 1)
    }

    @Test func aFailedEarlyRenewalIsBorneAndTriedAgainAfterAPause() async throws {
        let client = try await phone.enrolled()
        let old = phone.enrolment?.attestation
        phone.service.always(.renewals, .down)
        phone.clock.advance(240)
        for _ in 0..<20 { #expect(try await client.prove().clientAttestation == old) }
        await until { phone.service.count(.renewals) == 1 && phone.record?.lease == nil }
        phone.clock.advance(29)
        for _ in 0..<20 { #expect(try await client.prove().clientAttestation == old) }
        for _ in 0..<200 { await Task.yield() }
        #expect(phone.service.count(.renewals) == 1)
        phone.clock.advance(1)
        #expect(try await client.prove().clientAttestation == old)
        await until { phone.service.count(.renewals) == 2 && phone.record?.lease == nil }
        #expect(phone.service.count(.renewals) == 2)
        #expect(try await client.prove().clientAttestation == old)
    }

    @Test func aPauseFromAClockThatWasSetBackIsNotKept() async throws {
        phone.service.lifetime = 3600
        try await phone.enrolled().prepare()
        let client = phone.start()
        try await client.prove()
        phone.service.always(.renewals, .down)
        phone.clock.advance(3500)
        try await client.prove()
        await until { phone.service.count(.renewals) == 1 && phone.record?.lease == nil }
        #expect(await failure { try await client.prepare() } != nil)  // nothing is under way after it
        let before = phone.service.count(.renewals)
        phone.clock.wallTime -= 600
        try await client.prove()
        await until { phone.service.count(.renewals) == before + 1 }
        #expect(phone.service.count(.renewals) == before + 1)
    }

    @Test func preparingRenewsEarlyAndOnce() async throws {
        let client = try await phone.enrolled()
        phone.clock.advance(240)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<100 { group.addTask { try? await client.prepare() } }
        }
        #expect(phone.service.count(.renewals) == 1)
    }

    @Test func anAnswerThatWantsRenewalAtOnceCausesNoStorm() async throws {
        phone.service.always(.instances, .forged(members: ["renew_after": 0]))
        phone.service.always(.renewals, .forged(members: ["renew_after": 0]))
        let client = phone.start()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<100 { group.addTask { try? await client.prepare() } }
        }
        for _ in 0..<20 { try await client.prepare() }
        for _ in 0..<100 { try await client.prove() }
        for _ in 0..<200 { await Task.yield() }
        #expect(phone.service.count(.renewals) <= 2)
    }

    @Test func anotherProcesssRenewalIsTakenOver() async throws {
        let client = try await phone.enrolled()
        let other = phone.start()
        phone.clock.advance(301)
        let renewed = try await other.prove().clientAttestation
        #expect(try await client.prove().clientAttestation == renewed)
        #expect(phone.service.count(.renewals) == 1)
    }

    @Test func aStartFindsItsAttestationAndItsKeysAgain() async throws {
        let first = try await phone.enrolled().prove()
        phone.clock.advance(100)
        let second = try await phone.start().prove()
        #expect(second.clientAttestation == first.clientAttestation)
        #expect(second.keyID == first.keyID)
        #expect(phone.service.messages == 2)
    }

    @Test func anAssertionIsMadeWhenItIsDue() async throws {
        phone.service.reattestAfter = 1000
        let client = try await phone.enrolled()
        phone.clock.advance(999)
        try await client.prove()
        #expect(phone.attestor.assertCalls == 0)
        phone.clock.advance(301)
        try await client.prove()
        #expect(phone.attestor.assertCalls == 1)
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.service.count(.renewals) == 4)
        #expect(phone.enrolment?.key != nil)
    }

    @Test func aServiceThatAlwaysWantsAnotherChallengeIsAskedThreeTimes() async throws {
        let client = try await phone.enrolled()
        phone.clock.advance(301)
        phone.service.always(.renewals, .refused(.init(action: .retryWithChallenge)))
        let refused = BonafideError.refused(status: 401, action: .retryWithChallenge, record: "simulated")
        #expect(await failure { try await client.prove() } == refused)
        #expect(phone.service.count(.renewals) == 3)
        #expect(phone.service.count(.challenge) == 3)
        #expect(phone.attestor.assertCalls == 1)
        #expect(phone.state == "enrolled")
        phone.service.always(.renewals, nil)
        try await client.prove()
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func aRenewalChallengeThatHasEndedIsNotTried() async throws {
        let client = try await phone.enrolled()
        phone.clock.advance(901)
        try await client.prove()
        #expect(phone.service.count(.renewals) == 1)
        #expect(phone.service.count(.challenge) == 2)
    }

    @Test func aServiceThatForgotTheInstanceIsEnrolledAtAgainOnceADay() async throws {
        let client = try await phone.enrolled()
        phone.clock.advance(301)
        phone.service.forget()
        try await client.prove()
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.keys.signingKeysMade == 1)
        phone.clock.advance(301)
        phone.service.forget()
        let refused = BonafideError.refused(status: 401, action: .enrolAgain, record: "simulated")
        #expect(await failure { try await client.prove() } == refused)
        #expect(phone.attestor.attestCalls == 2)
        phone.clock.advance(86_400)
        try await client.prove()
        #expect(phone.attestor.attestCalls == 3)
    }

    @Test func aKeyThatCannotAssertAnyMoreIsReplaced() async throws {
        let client = try await phone.enrolled()
        let instances = phone.service.instances
        phone.clock.advance(301)
        phone.service.demandAssertions()
        phone.attestor.forgetKeys()
        try await client.prove()
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.service.instances == instances)
    }

    @Test(arguments: [AttestorFailure.unavailable, .unsupported, .failed("x")])
    func anAssertionThatFailsOtherwiseKeepsTheKey(_ reason: AttestorFailure) async throws {
        let client = try await phone.enrolled()
        phone.clock.advance(301)
        phone.service.demandAssertions()
        phone.attestor.failNextAssertions([reason])
        #expect(await failure { try await client.prove() } == .attestationFailed(String(describing: reason)))
        #expect(phone.record?.lease == nil)
        try await client.prove()
        #expect(phone.attestor.assertCalls == 2)
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func anAttestationThatHoldsOutlivesAnEnrolmentThatCannotGoOn() async throws {
        let client = try await phone.enrolled()
        let old = phone.enrolment?.attestation
        phone.clock.advance(240)
        phone.service.next(.renewals, .refused(.init(action: .enrolAgain)))
        phone.attestor.failNextAttestations([.unavailable])
        guard case .throttled(let wait) = await failure({ try await client.prepare() }) else {
            Issue.record("not throttled")
            return
        }
        #expect(phone.state == "attesting")
        #expect(try await client.prove().clientAttestation == old)
        phone.clock.advance(wait + 0.001)
        try await client.prepare()
        #expect(try await client.prove().clientAttestation == phone.enrolment?.attestation)
        #expect(phone.attestor.attestCalls == 3)
    }

    @Test(arguments: [Action.giveUp, .updateApp], [SimulatedService.Endpoint.challenge, .instances, .renewals])
    func aServiceThatWantsNoMoreIsLeftAloneUntilTheNextStart(
        _ action: Action, _ endpoint: SimulatedService.Endpoint
    ) async throws {
        let client = phone.start()
        if endpoint == .renewals {
            try await client.prove()
            phone.clock.advance(301)
        }
        phone.service.next(endpoint, .refused(.init(status: 403, action: action)))
        let refused = BonafideError.refused(status: 403, action: action, record: "simulated")
        #expect(await failure { try await client.prove() } == refused)
        let messages = phone.service.messages
        for _ in 0..<5 { #expect(await failure { try await client.prove() } == .stopped(action)) }
        #expect(await failure { try await client.prepare() } == .stopped(action))
        #expect(phone.service.messages == messages)
        try await phone.start().prove()
        #expect(phone.attestor.attestCalls == 1)
    }
}
