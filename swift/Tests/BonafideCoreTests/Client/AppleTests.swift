import BonafideTestSupport
import Testing

@testable import BonafideCore

/// What Apple answers, and how often it is asked.
@Suite struct AppleTests {
    private let phone = Phone()

    @Test func throttlingKeepsKeyAndClientData() async throws {
        phone.attestor.failNextAttestations([.unavailable])
        let client = phone.start()
        let error = await failure { try await client.prove() }
        guard case .throttled(let wait) = error, case .attesting(let pending) = phone.record?.enrolment else {
            Issue.record("\(String(describing: error)), \(phone.state)")
            return
        }
        #expect((7.5...15).contains(wait))
        phone.clock.advance(wait + 0.001)
        try await client.prove()
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.attestor.keysMade == 1)
        #expect(phone.enrolment?.key == pending.key)
        #expect(phone.service.messages == 2)
        #expect(phone.record?.attestations.count == 1)
        #expect(phone.record?.throttlings == 0)
        #expect(phone.record?.notBefore == nil)
    }

    @Test func nobodyAsksAppleBeforeItsTime() async throws {
        phone.attestor.failNextAttestations([.unavailable])
        #expect(await failure { try await phone.start().prove() } != nil)
        let until = try #require(phone.record?.notBefore)
        for _ in 0..<5 {
            let left = until - phone.clock.wallTime
            #expect(await failure { try await phone.start().prove() } == .throttled(retryAfter: left))
            phone.clock.advance(1)
        }
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.service.count(.challenge) == 1)
    }

    @Test func eachThrottlingWaitsLongerAndNoneOverAnHour() async throws {
        phone.attestor.failNextAttestations(Array(repeating: .unavailable, count: 12))
        let client = phone.start()
        var waits: [Double] = []
        for _ in 0..<12 {
            let error = await failure { try await client.prove() }
            guard case .throttled(let wait) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            waits.append(wait)
            phone.clock.advance(wait + 0.001)
        }
        for (index, wait) in waits.enumerated() {
            let longest = min(15 * Double(1 << index), 3600)
            #expect((longest / 2...longest).contains(wait))
        }
        #expect(Set(waits.suffix(4)).count == 4)  // not all devices at once
        try await client.prove()
        #expect(phone.attestor.attestCalls == 13)
        #expect(phone.attestor.keysMade == 1)
        #expect(phone.record?.attestations.count == 1)
    }

    @Test func aWaitFromAClockThatWasSetBackIsNotKept() async throws {
        phone.attestor.failNextAttestations([.unavailable])
        #expect(await failure { try await phone.start().prove() } != nil)
        phone.clock.wallTime -= 86_400
        phone.service.skew = -86_400
        try await phone.start().prove()
        #expect(phone.attestor.attestCalls == 2)
    }

    @Test func aRejectedKeyIsReplacedOnce() async throws {
        phone.attestor.failNextAttestations([.invalidKey])
        try await phone.start().prove()
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.attestor.keysMade == 2)
        #expect(phone.service.count(.challenge) == 2)
        #expect(phone.service.count(.instances) == 1)
    }

    @Test func twoRejectedKeysInARowAreAFailure() async throws {
        phone.attestor.failNextAttestations([.invalidKey, .invalidKey])
        let client = phone.start()
        #expect(await failure { try await client.prove() } == .attestationFailed("invalidKey"))
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.attestor.keysMade == 2)
        #expect(phone.service.count(.instances) == 0)
    }

    @Test func keysThatAppleAlwaysRejectsEndWithTheDaysBudget() async throws {
        phone.attestor.failNextAttestations(Array(repeating: .invalidKey, count: 100))
        let client = phone.start()
        var error: BonafideError?
        for _ in 0..<50 {
            error = await failure { try await client.prove() }
            phone.clock.advance(60)
        }
        guard case .attestationBudgetSpent(let wait) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(wait > 0 && wait <= 86_400)
        #expect(phone.record?.attestations.count == Limits.attestationsPerDay)
        #expect(phone.attestor.attestCalls <= 2 * Limits.attestationsPerDay)
        let calls = phone.attestor.attestCalls
        phone.clock.advance(wait - 61)
        #expect(await failure { try await client.prove() } != nil)
        #expect(phone.attestor.attestCalls == calls)
        phone.clock.advance(62)
        phone.attestor.failNextAttestations([])
        #expect(await failure { try await client.prove() } != nil)
        #expect(phone.attestor.attestCalls > calls)
    }

    @Test func aForgedDateBuysNoFurtherKey() async throws {
        phone.attestor.failNextAttestations(Array(repeating: .invalidKey, count: 100))
        let client = phone.start()
        for _ in 0..<10 { _ = await failure { try await client.prove() } }
        #expect(phone.record?.attestations.count == Limits.attestationsPerDay)
        let calls = phone.attestor.attestCalls
        let past = httpDate(phone.clock.wallTime - 300)
        phone.service.always(
            .challenge,
            .forged { answer in
                ServiceAnswer(head: AnswerHead(status: 200, fields: ["date": past]), body: answer.body)
            })
        phone.storage.record = phone.record.map { record in
            var record = record
            record.enrolment = .none
            return record.octets
        }
        for _ in 0..<5 { _ = await failure { try await phone.start().prove() } }
        #expect(phone.attestor.attestCalls == calls)
    }

    @Test func aFailureThatAppleDoesNotExplainIsNotRepeatedAtOnce() async throws {
        phone.attestor.failNextAttestations([.failed("unknownSystemFailure")])
        let client = phone.start()
        #expect(await failure { try await client.prove() } == .attestationFailed("failed(\"unknownSystemFailure\")"))
        for _ in 0..<20 {
            let error = await failure { try await client.prove() }
            guard case .throttled = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
        #expect(phone.attestor.attestCalls == 1)
        phone.clock.advance(15.001)
        try await client.prove()
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.attestor.keysMade == 1)
    }

    @Test func aKeyThatFailsUnexplainedAgainAndAgainIsReplacedInTheEnd() async throws {
        phone.attestor.failNextAttestations(Array(repeating: .failed("unknown"), count: 9))
        let client = phone.start()
        for _ in 0..<9 {
            #expect(await failure { try await client.prove() } == .attestationFailed("failed(\"unknown\")"))
            phone.clock.advance(3601)
        }
        try await client.prove()
        #expect(phone.attestor.keysMade == 2)
        #expect(phone.attestor.attestCalls == 10)
    }

    @Test func aKeyThatCannotBeMadeIsAFailureThatCostsNothing() async throws {
        phone.attestor.failNextKeys([.failed("enclave"), .unavailable])
        let client = phone.start()
        #expect(await failure { try await client.prove() } == .attestationFailed("failed(\"enclave\")"))
        #expect(await failure { try await client.prove() } == .attestationFailed("unavailable"))
        #expect(phone.service.messages == 0)
        try await client.prove()
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func aThrottledKeyOutlivesItsChallenge() async throws {
        phone.attestor.failNextAttestations([.unavailable])
        #expect(await failure { try await phone.start().prove() } != nil)
        phone.clock.advance(86_401)
        try await phone.start().prove()
        #expect(phone.attestor.keysMade == 1)
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.service.count(.challenge) == 2)
    }

    @Test func aServiceThatAlwaysWantsAnotherKeyIsBoundedByTheDay() async throws {
        phone.service.always(.instances, .refused(.init(action: .enrolAgain)))
        let client = phone.start()
        var error = await failure { try await client.prove() }
        #expect(error == .refused(status: 401, action: .enrolAgain, record: "simulated"))
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.service.count(.instances) == 2)
        for _ in 0..<20 { error = await failure { try await client.prove() } }
        #expect(error == .attestationBudgetSpent(retryAfter: 86_400))
        #expect(phone.attestor.attestCalls == Limits.attestationsPerDay)
    }

    @Test(arguments: [0, 1]) func challengesThatHaveEndedAtOnceAreNotAskedForForEver(_ seconds: Int) async throws {
        phone.service.always(.challenge, .forged(members: ["expires_in": .integer(seconds)]))
        let client = phone.start()
        let clock = phone.clock
        phone.attestor.beforeAttest = { clock.advance(2) }
        _ = await failure { try await client.prove() }
        #expect(phone.service.count(.challenge) <= 2)
        #expect(phone.attestor.attestCalls <= 2)
    }
}
