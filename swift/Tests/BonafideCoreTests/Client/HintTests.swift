import BonafideTestSupport
import Testing

@testable import BonafideCore

/// What an API's refusal asks for is followed within bounds, since any proxy can write it.
@Suite struct HintTests {
    private let phone = Phone()

    @Test func anAnswerWithoutAHintIsReturnedAsItIs() async throws {
        let client = try await phone.enrolled()
        for status in [200, 302, 401, 403, 404, 500] {
            let api = ScriptedAPI(AnswerHead(status: status, fields: [:]))
            #expect(try await client.perform(at: api) == status)
            #expect(await api.sent.count == 1)
        }
        let odd = AnswerHead(status: 401, fields: ["bonafide-action": "erase_everything"])
        #expect(try await client.perform(at: ScriptedAPI(odd)) == 401)
        let praised = AnswerHead(status: 200, fields: ["bonafide-action": "renew"])
        #expect(try await client.perform(at: ScriptedAPI(praised)) == 200)
        #expect(phone.service.messages == 2)
    }

    @Test func renewalIsDoneOnceForAThousandRequestsWithTheSameAttestation() async throws {
        let client = try await phone.enrolled()
        let old = phone.enrolment?.attestation
        let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<1000 {
                group.addTask {
                    try await client.perform(Phone.head, repeatable: true) { fields in
                        fields.clientAttestation == old ? (401, .refusing(.renew)) : (200, .good)
                    }
                }
            }
            return try await group.reduce(into: [Int]()) { $0.append($1) }
        }
        #expect(statuses == Array(repeating: 200, count: 1000))
        #expect(phone.service.count(.renewals) == 1)
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test(arguments: [Action.renew, .retryWithChallenge]) func renewalIsFollowedOnce(_ action: Action) async throws {
        let client = try await phone.enrolled()
        let api = ScriptedAPI(.refusing(action))
        #expect(try await client.perform(at: api) == 401)
        let sent = await api.sent
        #expect(sent.count == 2)
        #expect(sent[0].clientAttestation != sent[1].clientAttestation)
        #expect(phone.service.count(.renewals) == 1)
    }

    @Test func signingAgainIsDoneOnceAndByTheHardwareKey() async throws {
        let client = try await phone.enrolled()
        let api = ScriptedAPI(.refusing(.signAgain))
        #expect(try await client.perform(at: api) == 401)
        let sent = await api.sent
        #expect(sent.map(\.isHardware) == [false, true])
        #expect(sent[0].signatureInput != sent[1].signatureInput)
        #expect(phone.service.messages == 2)
        let hardware = ScriptedAPI(.refusing(.signAgain), .good)
        #expect(try await client.perform(at: hardware, proof: .hardware) == 200)
        #expect(await hardware.sent.map(\.isHardware) == [true, true])
    }

    @Test(arguments: [Action.renew, .renewWithAssertion, .signAgain, .retryWithChallenge, .enrolAgain, .fixClock])
    func whatMayHaveHadItsEffectIsForTheCallerToRepeat(_ action: Action) async throws {
        let client = try await phone.enrolled()
        let old = phone.enrolment?.attestation
        let api = ScriptedAPI(.refusing(action))
        #expect(await failure { _ = try await client.perform(at: api, repeatable: false) } == .outcomeUnknown(action))
        #expect(await api.sent.count == 1)
        // What the hint asked for is done, so that the caller's repetition has what it needs.
        #expect((phone.enrolment?.attestation == old) == (action == .signAgain))
        #expect(phone.attestor.attestCalls == (action == .enrolAgain ? 2 : 1))
    }

    @Test func patienceIsBounded() async throws {
        let client = try await phone.enrolled()
        let slow = ScriptedAPI(.refusing(.backOff, ["Retry-After": "15"]))
        #expect(try await client.perform(at: slow) == 401)
        #expect(await slow.sent.count == 2)
        #expect(phone.clock.sleeps == [15])
        let quick = ScriptedAPI(.refusing(.backOff, ["Retry-After": "1"]))
        #expect(try await client.perform(at: quick) == 401)
        #expect(await quick.sent.count == 4)
        #expect(phone.clock.sleeps == [15, 1, 1, 1])
        let endless = ScriptedAPI(.refusing(.backOff, ["Retry-After": "21"]))
        #expect(try await client.perform(at: endless) == 401)
        #expect(await endless.sent.count == 1)
        let once = ScriptedAPI(.refusing(.backOff), .good)
        #expect(try await client.perform(at: once) == 200)
        #expect(phone.clock.sleeps.count == 5)
        let unrepeatable = ScriptedAPI(.refusing(.backOff))
        #expect(try await client.perform(at: unrepeatable, repeatable: false) == 401)
        #expect(phone.clock.sleeps.count == 5)
        #expect(phone.service.messages == 2)
    }

    @Test func aServiceThatAsksForPatienceIsBorneWithinBounds() async throws {
        phone.service.next(.challenge, .refused(.init(status: 429, action: .backOff, retryAfter: "4")))
        try await phone.start().prove()
        #expect(phone.clock.sleeps.count == 1)
        #expect((4...4.8).contains(phone.clock.sleeps[0]))
        let other = Phone()
        other.service.always(.instances, .refused(.init(status: 503, action: .backOff, retryAfter: "2")))
        let client = other.start()
        guard case .busy(let wait) = await failure({ try await client.prove() }) else {
            Issue.record("not busy")
            return
        }
        #expect((2...2.4).contains(wait))
        #expect(other.service.count(.instances) == 4)
        other.service.always(.instances, .refused(.init(status: 503, action: .backOff, retryAfter: "60")))
        guard case .busy(let long) = await failure({ try await client.prove() }) else {
            Issue.record("not busy")
            return
        }
        #expect((60...72).contains(long))
        #expect(other.service.count(.instances) == 5)
        other.service.always(.instances, .refused(.init(status: 503, action: .backOff, retryAfter: "15")))
        guard case .busy = await failure({ try await client.prove() }) else {
            Issue.record("not busy")
            return
        }
        #expect(other.service.count(.instances) == 7)  // one wait of fifteen seconds leaves none for another
        other.service.always(.instances, nil)
        try await client.prove()
        #expect(other.attestor.attestCalls == 1)
    }

    @Test func aServiceThatWantsAMessageSignedAgainGetsItOnce() async throws {
        phone.service.next(.instances, .refused(.init(action: .signAgain)))
        try await phone.start().prove()
        #expect(phone.service.count(.instances) == 2)
        let other = Phone()
        other.service.always(.instances, .refused(.init(action: .signAgain)))
        let refused = BonafideError.refused(status: 401, action: .signAgain, record: "simulated")
        #expect(await failure { try await other.start().prove() } == refused)
        #expect(other.service.count(.instances) == 2)
        #expect(other.state == "attested")
    }

    @Test func enrollingAgainIsDoneOnceADay() async throws {
        let client = try await phone.enrolled()
        let api = ScriptedAPI(.refusing(.enrolAgain), .good)
        #expect(try await client.perform(at: api) == 200)
        #expect(phone.attestor.attestCalls == 2)
        #expect(try await client.perform(at: ScriptedAPI(.refusing(.enrolAgain))) == 401)
        #expect(try await phone.start().perform(at: ScriptedAPI(.refusing(.enrolAgain))) == 401)
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.record?.lease == nil)
        phone.clock.advance(86_401)
        #expect(try await client.perform(at: ScriptedAPI(.refusing(.enrolAgain), .good)) == 200)
        #expect(phone.attestor.attestCalls == 3)
    }

    @Test func anEnrolmentThatWasUsedUpConcernsOnlyWhoAskedForIt() async throws {
        let client = try await phone.enrolled()
        #expect(try await client.perform(at: ScriptedAPI(.refusing(.enrolAgain), .good)) == 200)
        phone.clock.advance(240)
        for _ in 0..<50 {
            async let hinted = client.perform(at: ScriptedAPI(.refusing(.enrolAgain)))
            async let prepared: Void = client.prepare()
            #expect(try await hinted == 401)
            try await prepared
            phone.clock.advance(240)
        }
        #expect(phone.attestor.attestCalls == 2)
    }

    @Test func aForgedDateBuysNoFurtherEnrolment() async throws {
        let client = try await phone.enrolled()
        #expect(try await client.perform(at: ScriptedAPI(.refusing(.enrolAgain), .good)) == 200)
        let past = httpDate(phone.clock.wallTime - 300)
        let restarted = phone.start()
        #expect(try await restarted.perform(at: ScriptedAPI(.refusing(.enrolAgain, ["Date": past]))) == 401)
        #expect(phone.attestor.attestCalls == 2)
        phone.clock.wallTime -= 7200
        phone.service.skew = -7200
        #expect(try await phone.start().perform(at: ScriptedAPI(.refusing(.enrolAgain), .good)) == 200)
        #expect(phone.attestor.attestCalls == 3)
    }

    @Test func aForgedEndStopsNothing() async throws {
        let client = try await phone.enrolled()
        for action in [Action.giveUp, .updateApp] {
            let api = ScriptedAPI(.refusing(action))
            #expect(try await client.perform(at: api) == 401)
            #expect(await api.sent.count == 1)
        }
        phone.clock.advance(301)
        try await client.prove()
        #expect(phone.service.count(.renewals) == 1)
    }

    @Test func hintsInTurnEndTheRequestAllTheSame() async throws {
        let client = try await phone.enrolled()
        let actions: [Action] = [
            .renew, .signAgain, .backOff, .retryWithChallenge, .enrolAgain, .fixClock, .renewWithAssertion,
        ]
        let heads = (0..<20).flatMap { _ in actions }.map { AnswerHead.refusing($0) }
        let sent = Guarded(0)
        let status = try? await client.perform(Phone.head, repeatable: true) { _ in
            let number = sent.withLock { count in
                count += 1
                return count
            }
            return (401, heads[number - 1])
        }
        #expect(status == 401)
        #expect(sent.withLock { $0 } <= 10)
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.attestor.assertCalls == 1)
    }

    @Test func whatSendingThrowsIsTheCallers() async throws {
        let client = try await phone.enrolled()
        await #expect(throws: Killed.self) {
            _ = try await client.perform(Phone.head, repeatable: true) { _ -> (Int, AnswerHead) in throw Killed() }
        }
    }
}
