import BonafideTestSupport
import Testing

@testable import BonafideCore

/// A route that wants fresh evidence gets it, once for each request, and whoever else asks gets it along.
@Suite struct StepUpTests {
    private let phone = Phone()

    /// An API whose route wants other evidence than that of the enrolment.
    private func wanting(_ old: String?) -> @Sendable (ProofFields) -> (Int, AnswerHead) {
        { fields in fields.clientAttestation == old ? (401, .refusing(.renewWithAssertion)) : (200, .good) }
    }

    @Test func anAssertionIsMadeThoughNoneIsDueAndTheRequestRepeatedByHardware() async throws {
        let client = try await phone.enrolled()
        let before = phone.enrolment
        let api = ScriptedAPI(.refusing(.renewWithAssertion), .good)
        #expect(try await client.perform(at: api) == 200)
        #expect(await api.sent.map(\.isHardware) == [false, true])
        #expect(await api.sent.last?.clientAttestation == phone.enrolment?.attestation)
        #expect(phone.enrolment?.attestation != before?.attestation)
        #expect(phone.enrolment?.assertedFor == before?.nextChallenge)
        #expect(phone.attestor.assertCalls == 1)
        #expect(phone.service.count(.renewals) == 1)
        #expect(phone.service.count(.challenge) == 1)
    }

    @Test func aHintThatAnyProxyCanWriteCostsOneAssertionForEachRequest() async throws {
        let client = try await phone.enrolled()
        for assertions in 1...3 {
            let api = ScriptedAPI(.refusing(.renewWithAssertion))
            #expect(try await client.perform(at: api) == 401)
            #expect(await api.sent.count == 2)
            #expect(phone.attestor.assertCalls == assertions)
        }
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.service.count(.renewals) == 3)
    }

    @Test func manyRequestsShareOneAssertion() async throws {
        let client = try await phone.enrolled()
        let answer = wanting(phone.enrolment?.attestation)
        let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<200 { group.addTask { try await client.perform(Phone.head, repeatable: true, send: answer) } }
            return try await group.reduce(into: [Int]()) { $0.append($1) }
        }
        #expect(statuses == Array(repeating: 200, count: 200))
        #expect(phone.attestor.assertCalls == 1)
        #expect(phone.service.count(.renewals) == 1)
    }

    @Test func aPlainRenewalUnderWayIsNotEnough() async throws {
        let client = try await phone.enrolled()
        phone.clock.advance(240)
        phone.service.hold(.renewals)
        let plain = Task { try await client.prepare() }
        await phone.service.untilHeld(.renewals)
        let api = ScriptedAPI(.refusing(.renewWithAssertion), .good)
        let stepped = Task { try await client.perform(at: api) }
        await until { await api.sent.count == 1 }
        for _ in 0..<100 { await Task.yield() }
        #expect(phone.attestor.assertCalls == 0)
        phone.service.release(.renewals)
        try await plain.value
        #expect(try await stepped.value == 200)
        #expect(phone.attestor.assertCalls == 1)
        #expect(phone.service.count(.renewals) == 2)
    }

    @Test func whoNeedsNoAssertionGoesOnWhereOneFails() async throws {
        let client = try await phone.enrolled()
        phone.service.next(.renewals, .answerLost)
        _ = await failure { _ = try await client.perform(at: ScriptedAPI(.refusing(.renewWithAssertion))) }
        phone.clock.advance(240)
        phone.service.hold(.challenge)  // what was lost is not sent again, so that a new one is begun
        phone.attestor.failNextAssertions([.failed("busy")])
        let stepped = Task { try await client.perform(at: ScriptedAPI(.refusing(.renewWithAssertion), .good)) }
        await phone.service.untilHeld(.challenge)
        let plain = Task { try await client.prepare() }
        for _ in 0..<100 { await Task.yield() }
        phone.service.release(.challenge)
        #expect(await failure { _ = try await stepped.value } == .attestationFailed("failed(\"busy\")"))
        try await plain.value
        #expect(phone.attestor.assertCalls == 2)
    }

    @Test func aPlainRenewalKeepsTheEvidenceThatTheNextRequestFindsStale() async throws {
        let client = try await phone.enrolled()
        let given = phone.enrolment?.assertedFor
        #expect(given?.isEmpty == false)
        phone.clock.advance(240)
        try await client.prepare()
        #expect(phone.enrolment?.assertedFor == given)
        #expect(try await client.perform(at: ScriptedAPI(.refusing(.renewWithAssertion), .good)) == 200)
        #expect(phone.enrolment?.assertedFor != given)
    }

    @Test func aRenewalBegunBeforeIsNoFreshEvidence() async throws {
        let client = try await phone.enrolled()
        phone.service.next(.renewals, .answerLost)
        let lost = ScriptedAPI(.refusing(.renewWithAssertion))
        #expect(await failure { _ = try await client.perform(at: lost) } != nil)
        let begun = phone.enrolment?.renewal
        #expect(begun?.evidence != Evidence.none)
        #expect(try await client.perform(at: ScriptedAPI(.refusing(.renewWithAssertion), .good)) == 200)
        #expect(phone.enrolment?.assertedFor != begun?.challenge)
        #expect(phone.attestor.assertCalls == 2)
        #expect(phone.service.count(.challenge) == 2)
    }

    @Test func aServiceThatRefusesItIsNotAskedAgainAndAgain() async throws {
        let client = try await phone.enrolled()
        phone.service.always(.renewals, .refused(.init(action: .retryWithChallenge)))
        let refused = BonafideError.refused(status: 401, action: .retryWithChallenge, record: "simulated")
        let api = ScriptedAPI(.refusing(.renewWithAssertion))
        #expect(await failure { _ = try await client.perform(at: api) } == refused)
        #expect(await api.sent.count == 1)
        #expect(phone.service.count(.renewals) == 2)
        #expect(phone.attestor.assertCalls == 2)
    }

    @Test func anExtensionLeavesItToTheApp() async throws {
        try await phone.enrolled().prepare()
        let messages = phone.service.messages
        let api = ScriptedAPI(.refusing(.renewWithAssertion), .good)
        #expect(await failure { _ = try await phone.startExtension().perform(at: api) } == .appMustRun)
        #expect(await api.sent.count == 1)
        #expect(phone.service.messages == messages)
        #expect(phone.attestor.assertCalls == 0)
    }

    @Test func aDeviceThatHasNothingToAssertWithReturnsTheRefusal() async throws {
        phone.attestor.failNextKeys([.unsupported])
        let client = phone.start { configuration, _ in configuration.unsupportedDevices = .enrolWithoutEvidence }
        try await client.prepare()
        let messages = phone.service.messages
        let api = ScriptedAPI(.refusing(.renewWithAssertion))
        #expect(try await client.perform(at: api) == 401)
        #expect(await api.sent.count == 1)
        #expect(phone.service.messages == messages)
    }

    @Test func aProviderThatAssertsNothingIsAskedOnceForAllWhoWait() async throws {
        struct Silent: Attestor {
            let attestor: SoftwareAttestor
            func makeKey() async throws -> String { try await attestor.makeKey() }
            func attest(_ key: String, clientDataHash: [UInt8]) async throws -> Evidence {
                try await attestor.attest(key, clientDataHash: clientDataHash)
            }
            func assert(_: String, clientDataHash _: [UInt8]) async throws -> Evidence { .none }
        }
        let client = phone.start { _, world in world.attestor = Silent(attestor: phone.attestor) }
        try await client.prepare()
        let answer = wanting(phone.enrolment?.attestation)
        let refused = Guarded(0)
        phone.service.hold(.renewals)
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await client.perform(Phone.head, repeatable: true) { fields in
                        refused.withLock { $0 += 1 }
                        return answer(fields)
                    }
                }
            }
            await until { refused.withLock { $0 } == 50 }
            for _ in 0..<100 { await Task.yield() }
            phone.service.release(.renewals)
            for try await status in group { #expect(status == 200) }
        }
        #expect(phone.service.count(.renewals) == 1)
    }

    @Test func aLostKeyIsReplacedAsInAnyRenewal() async throws {
        let client = try await phone.enrolled()
        phone.attestor.failNextAssertions([.invalidKey])
        #expect(try await client.perform(at: ScriptedAPI(.refusing(.renewWithAssertion), .good)) == 200)
        #expect(phone.attestor.attestCalls == 2)
    }
}
