import BonafideTestSupport
import Testing

@testable import BonafideCore

/// The software App Attest refuses and fails as Apple's does. That the service takes what it makes, pytest shows.
@Suite struct SupportAttestorTests {
    private let attestor = SoftwareAttestor(appID: "TEAMID1234.com.example.app")
    private let hash = [UInt8](repeating: 7, count: 32)

    @Test func aKeyIsNamedByItsDigest() async throws {
        let key = try await attestor.makeKey()
        let point = try #require(attestor.publicKey(of: key))
        #expect(Base64.decoded(key) == SoftwareCrypto().sha256(point.x963))
        #expect(attestor.keysMade == 1)
    }

    @Test func aKeyIsAttestedOnce() async throws {
        let key = try await attestor.makeKey()
        let evidence = try await attestor.attest(key, clientDataHash: hash)
        #expect(evidence.json?["format"] == "apple-app-attest")
        #expect(evidence.json?["key_id"] == .string(key))
        await #expect(throws: AttestorFailure.invalidKey) { try await attestor.attest(key, clientDataHash: hash) }
        #expect(attestor.attestCalls == 2)
    }

    @Test func anUnknownKeyIsRefused() async {
        await #expect(throws: AttestorFailure.invalidKey) { try await attestor.attest("AAAA", clientDataHash: hash) }
        await #expect(throws: AttestorFailure.invalidKey) { try await attestor.assert("AAAA", clientDataHash: hash) }
        #expect((attestor.attestCalls, attestor.assertCalls) == (1, 1))
    }

    @Test func onlyAnAttestedKeyAssertsAndItsCounterRises() async throws {
        let key = try await attestor.makeKey()
        await #expect(throws: AttestorFailure.invalidKey) { try await attestor.assert(key, clientDataHash: hash) }
        #expect(attestor.counter(of: key) == 0)
        _ = try await attestor.attest(key, clientDataHash: hash)
        for counter in 1...3 as ClosedRange<UInt32> {
            let evidence = try await attestor.assert(key, clientDataHash: hash)
            #expect(evidence.json?["format"] == "apple-app-attest-assertion")
            #expect(attestor.counter(of: key) == counter)
        }
    }

    @Test func forgottenKeysAreUnknown() async throws {
        let key = try await attestor.makeKey()
        _ = try await attestor.attest(key, clientDataHash: hash)
        attestor.forgetKeys()
        await #expect(throws: AttestorFailure.invalidKey) { try await attestor.assert(key, clientDataHash: hash) }
        #expect(attestor.publicKey(of: key) == nil)
        #expect(attestor.counter(of: key) == nil)
    }

    @Test func scriptedFailuresComeInTheirOrderAndSpendNothing() async throws {
        attestor.failNextKeys([.unsupported])
        await #expect(throws: AttestorFailure.unsupported) { try await attestor.makeKey() }
        let key = try await attestor.makeKey()
        attestor.failNextAttestations([.unavailable, .failed("server")])
        await #expect(throws: AttestorFailure.unavailable) { try await attestor.attest(key, clientDataHash: hash) }
        await #expect(throws: AttestorFailure.failed("server")) {
            try await attestor.attest(key, clientDataHash: hash)
        }
        _ = try await attestor.attest(key, clientDataHash: hash)
        attestor.failNextAssertions([.unavailable])
        await #expect(throws: AttestorFailure.unavailable) { try await attestor.assert(key, clientDataHash: hash) }
        #expect(attestor.counter(of: key) == 0)
        _ = try await attestor.assert(key, clientDataHash: hash)
        #expect((attestor.keysMade, attestor.attestCalls, attestor.assertCalls) == (1, 3, 2))
    }

    @Test func anAttestationCanBeHeldInFlight() async throws {
        let clock = ManualClock(sleeping: .waits)
        attestor.beforeAttest = { try? await clock.sleep(1) }
        let key = try await attestor.makeKey()
        async let attesting = attestor.attest(key, clientDataHash: hash)
        await clock.untilSleeping()
        #expect(attestor.attestCalls == 1)
        clock.advance(1)
        #expect(try await attesting.json != nil)
    }

    @Test func aFakeAppleIsReadFromWhatATestWorldPrints() throws {
        let scalar = SoftwareCrypto().random(47)
        let printed: JSON = [
            "root": "cm9vdA==", "intermediate": "bWlk", "intermediate_key": .string(Base64.encoded([1] + scalar)),
        ]
        let apple = try #require(FakeApple(printed))
        #expect(apple.root == Array("root".utf8))
        #expect(apple.intermediate == Array("mid".utf8))
        #expect(FakeApple(["root": "cm9vdA==", "intermediate": "bWlk"]) == nil)
        #expect(FakeApple(root: [], intermediate: [], intermediateKey: scalar) == nil)
    }
}
