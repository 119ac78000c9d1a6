import BonafideTestSupport
import Testing

@testable import BonafideCore

/// What the app believes of the time, and from whom.
@Suite struct ClockTests {
    private let phone = Phone()
    private let noon: Double = 1_764_000_000

    @Test(arguments: [3600.0, -3600.0, 1e9]) func aForgedDateMovesTheClockByFiveMinutesAtMost(
        _ offset: Double
    ) async throws {
        let client = try await phone.enrolled()
        let restarted = phone.start()
        try await restarted.prove()
        let forged = AnswerHead(status: 200, fields: ["Date": httpDate(noon + offset)])
        #expect(try await restarted.perform(at: ScriptedAPI(forged)) == 200)
        let created = try #require(try await restarted.prove().created)
        #expect(abs(created - Int(noon)) <= 300)
        // The first client has a session of its own start: nothing moves its clock.
        #expect(try await client.perform(at: ScriptedAPI(forged)) == 200)
        #expect(try await client.prove().created == Int(noon))
    }

    @Test func aClockThatIsAFewMinutesWrongIsMended() async throws {
        phone.service.skew = 200
        let fields = try await phone.start().prove()
        #expect(fields.created == Int(noon) + 200)
        #expect(phone.service.messages == 2)  // the challenge's answer had a Date
        #expect(phone.record?.clockShift == 200)
        #expect(try await phone.start().prove().created == Int(noon) + 200)
        #expect(phone.service.messages == 2)
    }

    @Test(arguments: [3600.0, -3600.0]) func aClockThatIsAnHourWrongIsForTheUserToMend(_ skew: Double) async throws {
        phone.service.skew = skew
        let client = phone.start()
        #expect(await failure { try await client.prove() } == .clockWrong(by: -skew))
        #expect(phone.service.count(.instances) == 2)
        #expect(phone.state == "attested")
        phone.clock.wallTime += skew
        try await client.prove()
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func aClockOfWhichNobodySaysMoreIsWrongByNobodyKnowsWhat() async throws {
        phone.service.always(.instances, .refused(.init(action: .fixClock, date: "yesterday")))
        #expect(await failure { try await phone.start().prove() } == .clockWrong(by: nil))
        let api = ScriptedAPI(.refusing(.fixClock))
        let client = try await Phone().enrolled()
        #expect(await failure { _ = try await client.perform(at: api) } == .clockWrong(by: nil))
        #expect(await api.sent.count == 2)
    }

    @Test(arguments: [3600.0, -3600.0]) func settingTheDevicesClockAfterEnrolmentChangesNothing(
        _ jump: Double
    ) async throws {
        let client = try await phone.enrolled()
        phone.clock.wallTime += jump
        phone.clock.advance(10)
        #expect(try await client.prove().created == Int(noon) + 10)
        #expect(try await client.prove(.hardware).created == Int(noon) + 10)
        phone.clock.advance(291)
        #expect(try await client.prove().created == Int(noon) + 301)
        #expect(phone.service.count(.renewals) == 1)
        #expect(phone.service.messages == 3)
        #expect(phone.record?.clockShift == -jump)
    }

    @Test func aClockSetBetweenTwoStartsIsMendedByARenewal() async throws {
        try await phone.enrolled().prepare()
        phone.clock.wallTime += 200
        let client = phone.start()
        phone.clock.advance(101)
        #expect(try await client.prove().created == Int(noon) + 101)
        #expect(phone.service.count(.renewals) == 2)  // the first was dated wrong, and its answer had a Date
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func aHintToFixATrustedClockIsAnsweredByARenewal() async throws {
        let client = try await phone.enrolled()
        let api = ScriptedAPI(.refusing(.fixClock, ["Date": httpDate(noon + 100)]))
        #expect(await failure { _ = try await client.perform(at: api) } == .clockWrong(by: -100))
        #expect(await api.sent.count == 2)
        #expect(await api.sent.map(\.created) == [Int(noon), Int(noon)])
        #expect(phone.service.count(.renewals) == 1)
    }

    @Test func aHintToFixAClockThatNobodySetIsAnsweredByTheDate() async throws {
        try await phone.enrolled().prepare()
        let api = ScriptedAPI(.refusing(.fixClock, ["Date": httpDate(noon + 100)]), .good)
        #expect(try await phone.start().perform(at: api) == 200)
        #expect(await api.sent.map(\.created) == [Int(noon), Int(noon) + 100])
        #expect(phone.service.messages == 2)
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity, 1e300, -1e300])
    func noTimeThatADeviceBelievesEndsTheProcess(_ wall: Double) async throws {
        let clock = OddClock(time: wall)
        #expect(TrustedClock(clock).stamp == 0)
        let client = phone.start { _, world in world.clock = clock }
        _ = await failure { try await client.prove() }
        #expect(phone.record != nil)
        try await phone.start().prove()
        #expect(phone.keys.signingKeysMade == 1)
    }

    @Test func theClockKeepsWhatAnEarlierStartLearntUntilASessionSpeaks() {
        let manual = ManualClock(wall: 1000, steady: 0)
        let clock = TrustedClock(manual)
        clock.remember(5000)
        #expect(clock.now() == 6000)
        clock.remember(.nan)
        #expect(clock.now() == 6000)
        // A Date counts around either place: the device's own time, and what was learnt.
        clock.learn(httpDate(6100))
        #expect(clock.now() == 6100)
        clock.learn(httpDate(9000))
        #expect(clock.now() == 6300)
        clock.learn(httpDate(900))
        #expect(clock.now() == 900)
        clock.learn(httpDate(1))
        #expect(clock.now() == 700)
        clock.remember(5000)  // known already
        #expect(clock.now() == 700)
        #expect(!clock.isTrusted)
        clock.trust(7000)
        #expect(clock.isTrusted)
        clock.learn(httpDate(1000))
        clock.remember(1)
        manual.wallTime = 0
        #expect(clock.now() == 7000)
        manual.advance(1.5)
        #expect(clock.now() == 7001.5)
        #expect(clock.stamp == 7001)
        #expect(clock.shift == 7000)
    }
}

/// A device that believes something odd.
private struct OddClock: BonafideCore.Clock {
    let time: Double

    func wall() -> Double { time }
    func steady() -> Double { 0 }
    func sleep(_ seconds: Double) async throws {}
}

@Suite struct HTTPDateTests {
    @Test func theDatesOfTheStandardAreRead() {
        #expect(HTTPDate.seconds("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
        #expect(HTTPDate.seconds("Thu, 01 Jan 1970 00:00:00 GMT") == 0)
        #expect(HTTPDate.seconds("Tue, 29 Feb 2028 23:59:60 GMT") == 1_835_481_600)
        #expect(HTTPDate.seconds("Mon, 01 Mar 2100 00:00:00 GMT") == 4_107_542_400)
        #expect(HTTPDate.seconds("Fri, 31 Dec 9999 23:59:59 GMT") == 253_402_300_799)
    }

    @Test func datesAreReadAsTheyAreWritten() {
        for day in 0..<1500 {
            let seconds = Double(day) * 86_400 * 29.37
            #expect(HTTPDate.seconds(httpDate(seconds.rounded(.down))) == seconds.rounded(.down))
        }
    }

    @Test(arguments: [
        "", "0", "Sun, 06 Nov 1994 08:49:37", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 06 Nov 99999 08:49:37 GMT", "Sun, +6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37:11 GMT",
    ]) func whatIsNoDateIsNone(_ text: String) {
        #expect(HTTPDate.seconds(text) == nil)
    }
}
