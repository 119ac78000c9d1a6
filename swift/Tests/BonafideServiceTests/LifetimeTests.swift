import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation
import Testing

/// A service whose client attestations live for half a minute, so that they really end.
@Suite(.enabled(if: RunningService.isPossible, "make setup makes the Python that the service runs in"))
struct LifetimeTests {
    @Test func attestationsEndAndAreRenewed() async throws {
        let service = try RunningService("--lifetime", "30", "--reattest-after", "20")
        let early = Phone(service)
        let slow = Phone(service)
        let thousand = Phone(service)
        let sealed = Phone(service)
        for phone in [early, slow, thousand, sealed] { #expect(try await phone.get("/api/config").status == 200) }
        for phone in [slow, sealed] { phone.clock.leap(-20) }  // what they take for fresh will have ended under way
        try await Task.sleep(nanoseconds: 24_500_000_000)
        async let beside: Void = renewsBeside(early)
        try await Task.sleep(nanoseconds: 7_500_000_000)
        try await beside
        try await healsInFlight(slow)
        // What asks to renew is in clear, and the answer to the second proof is sealed: by the application, to nobody.
        #expect(try await sealed.get("/api/wallet", answer: .sealed).status == 401)
        #expect(sealed.network.sent.contains("renewals"))
        try await renewsOnceForAll(thousand)
    }

    @Test func aLostRenewalIsSentAgainAndAnExtensionRenewsBySign() async throws {
        let service = try RunningService("--lifetime", "30")
        let killed = Phone(service)
        let host = Phone(service)
        for phone in [killed, host] { #expect(try await phone.get("/api/config").status == 200) }
        try await Task.sleep(nanoseconds: 28_000_000_000)
        killed.network.expect(.answersAreLost, "renewals")
        await #expect(throws: BonafideError.self) { try await killed.get("/api/config") }
        let again = killed.startedAgain()
        #expect(try await again.get("/api/config").status == 200)
        #expect(again.network.sent == ["renewals"])  // the very pair, which the service answers a second time
        let beside = host.startedAgain { $0.role = .appExtension }
        #expect(try await beside.get("/api/config").status == 200)
        #expect(beside.network.sent == ["renewals"])
        for phone in [killed, host] {
            #expect(phone.attestor.attestCalls == 1)
            #expect(phone.attestor.assertCalls == 0)
        }
        #expect(try service.reasons() == [])
    }

    /// Past four fifths of its life, a request is served with the old attestation, and the next one with the new.
    private func renewsBeside(_ phone: Phone) async throws {
        #expect(try await phone.get("/api/config").status == 200)
        for _ in 0..<250 where phone.attestor.assertCalls == 0 { try await Task.sleep(nanoseconds: 20_000_000) }
        // The service wanted an assertion after 20 s, and got it only when it had said so.
        #expect(phone.attestor.assertCalls == 1)
        for _ in 0..<250 where phone.network.sent.last != "renewals" { try await Task.sleep(nanoseconds: 20_000_000) }
        #expect(try await phone.get("/api/config").status == 200)
        #expect(phone.attestor.attestCalls == 1)
    }

    /// The attestation ended in flight: the service says so, and the request is repeated with a new one.
    private func healsInFlight(_ phone: Phone) async throws {
        #expect(phone.network.sent == ["challenge", "instances"])
        #expect(try await phone.get("/api/config").status == 200)
        #expect(phone.network.sent.contains("renewals"))
        #expect(phone.attestor.attestCalls == 1)
    }

    private func renewsOnceForAll(_ phone: Phone) async throws {
        let answers = await atOnce(200) { _ in try await phone.get("/api/config").status }
        #expect(answers.allSatisfy { (try? $0.get()) == 200 })
        #expect(phone.attestor.assertCalls == 1)
        #expect(phone.attestor.attestCalls == 1)
        let renewals = phone.network.sent.filter { $0 == "renewals" }.count
        #expect((2...3).contains(renewals), "\(phone.network.sent)")
    }
}
