import BonafideTestSupport
import Testing

@testable import BonafideCore

/// What is interrupted goes on where it was, and calls `attestKey` no second time.
@Suite struct InterruptionTests {
    private let phone = Phone()

    @Test(arguments: [SimulatedService.Endpoint.challenge, .instances])
    func anEnrolmentGoesOnAfterTheServiceWasDown(_ endpoint: SimulatedService.Endpoint) async throws {
        phone.service.next(endpoint, .down)
        let client = phone.start()
        #expect(await failure { try await client.prove() } == .transport("ServiceIsDown()"))
        #expect(phone.record?.lease == nil)
        try await client.prove()
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.attestor.keysMade == 1)
        #expect(phone.service.count(endpoint) == 2)
        #expect(phone.service.messages == 3)
    }

    @Test(arguments: [SimulatedService.Endpoint.challenge, .instances], [true, false])
    func anEnrolmentGoesOnAfterAnAnswerWasLost(
        _ endpoint: SimulatedService.Endpoint, _ startsAnew: Bool
    ) async throws {
        phone.service.next(endpoint, .answerLost)
        let client = phone.start()
        #expect(await failure { try await client.prove() } == .transport("ServiceIsDown()"))
        let attested = phone.attestor.attestCalls
        try await (startsAnew ? phone.start() : client).prove()
        #expect(phone.attestor.attestCalls == 1)
        #expect(endpoint == .challenge || attested == 1)
        #expect(phone.service.messages == 3)
        #expect(phone.service.instances.count == 1)
    }

    @Test(arguments: [SimulatedService.Mishap.down, .answerLost])
    func aRenewalIsSentAgainAsItWas(_ mishap: SimulatedService.Mishap) async throws {
        let client = try await phone.enrolled()
        phone.clock.advance(301)
        phone.service.next(.renewals, mishap)
        #expect(await failure { try await client.prove() } == .transport("ServiceIsDown()"))
        let begun = try #require(phone.enrolment?.renewal)
        let again = phone.start()
        let attestation = try await again.prove().clientAttestation
        #expect(phone.enrolment?.renewal == nil)
        #expect(attestation == phone.enrolment?.attestation)
        #expect(begun.challenge != phone.enrolment?.nextChallenge)
        #expect(phone.service.count(.renewals) == 2)
        #expect(phone.service.count(.challenge) == 1)
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func anAssertionIsSentAgainAsItWas() async throws {
        let client = try await phone.enrolled()
        phone.clock.advance(301)
        phone.service.demandAssertions()
        phone.service.next(.renewals, .refused(.init(action: .retryWithChallenge)))
        phone.service.next(.renewals, .refused(.init(action: .retryWithChallenge)), .answerLost)
        #expect(await failure { try await client.prove() } == .transport("ServiceIsDown()"))
        try await phone.start().prove()
        #expect(phone.attestor.assertCalls == 1)
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func anEnrolmentIsEightWrites() async throws {
        try await phone.start().prove()
        #expect(phone.storage.replacements == 8)
    }

    /// Keys, right to talk to the service, App Attest key, client data, count, evidence, enrolment; the eighth gives
    /// the right back.
    @Test(arguments: 1...7) func aProcessKilledAfterAnyWriteEndsEnrolledWithOneAttestation(_ write: Int) async throws {
        phone.storage.afterReplace = { if $0 >= write { throw Killed() } }
        await #expect(throws: Killed.self) { try await phone.start().prove() }
        phone.storage.afterReplace = nil
        let client = phone.start()
        try await client.prove()
        #expect(phone.state == "enrolled")
        #expect((phone.record?.lease == nil) == (write != 7))  // the dead process's, which ends by itself
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.keys.signingKeysMade == 1)
        #expect(phone.service.instances.count == 1)
    }

    @Test(arguments: 1...3) func aProcessKilledAfterAnyWriteOfARenewalRenewsOnce(_ write: Int) async throws {
        try await phone.enrolled().prepare()
        let before = phone.storage.replacements
        phone.clock.advance(301)
        phone.storage.afterReplace = { if $0 >= before + write { throw Killed() } }
        await #expect(throws: Killed.self) { try await phone.start().prove() }
        phone.storage.afterReplace = nil
        try await phone.start().prove()
        #expect((phone.record?.lease == nil) == (write != 3))
        #expect(phone.service.count(.renewals) == 1)
        #expect(phone.service.count(.challenge) == 1)
    }

    /// The one place where a second call cannot be helped: Apple answered, and the process died before it could store
    /// what Apple said. Nobody but Apple has the evidence then, and Apple attests a key once.
    @Test func evidenceThatWasNeverStoredCostsAnotherKey() async throws {
        let storage = phone.storage
        phone.attestor.beforeAttest = { storage.isLocked = true }
        #expect(await failure { try await phone.start().prove() } == .storageUnavailable)
        phone.attestor.beforeAttest = nil
        storage.isLocked = false
        phone.clock.advance(61)
        try await phone.start().prove()
        #expect(phone.attestor.attestCalls == 3)
        #expect(phone.attestor.keysMade == 2)
        #expect(phone.record?.attestations.count == 2)
        #expect(phone.keys.signingKeysMade == 1)
    }

    @Test func anEnrolmentThatCannotBeStoredIsNotReliedOn() async throws {
        let storage = phone.storage
        phone.service.hold(.instances)
        let client = phone.start()
        let call = Task { await failure { try await client.prove() } }
        await phone.service.untilHeld(.instances)
        storage.failNextReplacements([.unavailable])
        phone.service.release(.instances)
        #expect(await call.value == .storageUnavailable)
        #expect(phone.state == "attested")
        try await client.prove()
        #expect(phone.state == "enrolled")
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.service.count(.instances) == 2)
    }

    @Test func aRightThatCannotBeGivenBackSpoilsNoEnrolment() async throws {
        let storage = phone.storage
        phone.storage.afterReplace = { if $0 == 7 { storage.failNextReplacements([.unavailable]) } }
        let client = phone.start()
        #expect(try await client.prove().clientAttestation == phone.enrolment?.attestation)
        #expect(phone.record?.lease != nil)
        #expect(phone.service.messages == 2)
        // Its own right does not delay it.
        #expect(try await client.perform(at: ScriptedAPI(.refusing(.renew), .good)) == 200)
        #expect(phone.clock.sleeps.isEmpty)
        #expect(phone.record?.lease == nil)
    }

    @Test func evidenceIsShownOnceMoreWhereTheClockSaysThatItsChallengeHasEnded() async throws {
        phone.service.next(.instances, .down)
        #expect(await failure { try await phone.start().prove() } == .transport("ServiceIsDown()"))
        phone.clock.wallTime += 3 * 86_400
        let client = phone.start()
        // The device's clock is wrong; the service's is not.
        #expect(await failure { try await client.prove() } == .clockWrong(by: 3 * 86_400))
        #expect(phone.state == "attested")
        phone.clock.wallTime -= 3 * 86_400
        try await client.prove()
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test(arguments: [nil, Action.retryWithChallenge]) func evidenceWhoseChallengeHasEndedGivesWayToANewKey(
        _ action: Action?
    ) async throws {
        phone.service.next(.instances, .down)
        #expect(await failure { try await phone.start().prove() } == .transport("ServiceIsDown()"))
        phone.clock.advance(86_401)
        phone.service.next(.instances, .refused(.init(status: 400, action: action)))
        try await phone.start().prove()
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.attestor.keysMade == 2)
    }

    @Test func aRefusalWithoutAHintKeepsEvidenceWhoseChallengeRuns() async throws {
        phone.service.next(.instances, .refused(.init(status: 500)), .refused(.init(status: 403)))
        let client = phone.start()
        #expect(await failure { try await client.prove() } == .refused(status: 500, action: nil, record: "simulated"))
        #expect(await failure { try await client.prove() } == .refused(status: 403, action: nil, record: "simulated"))
        #expect(phone.state == "attested")
        try await client.prove()
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func evidenceOfAVersionThatWasRefusedGivesWayAfterTheUpdate() async throws {
        phone.service.next(.instances, .refused(.init(status: 403, action: .updateApp)))
        let old = phone.start()
        let refused = BonafideError.refused(status: 403, action: .updateApp, record: "simulated")
        #expect(await failure { try await old.prove() } == refused)
        #expect(await failure { try await old.prove() } == .stopped(.updateApp))
        #expect(phone.service.count(.instances) == 1)
        phone.service.next(.instances, .refused(.init(status: 403, action: .updateApp)))
        #expect(await failure { try await phone.start().prove() } == refused)
        #expect(phone.attestor.attestCalls == 1)
        phone.service.next(.instances, .refused(.init(status: 403, action: .updateApp)))
        try await phone.start { configuration, _ in configuration.versions.app = "2.0" }.prove()
        #expect(phone.attestor.attestCalls == 2)
    }
}
