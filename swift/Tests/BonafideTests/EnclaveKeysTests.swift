import CryptoKit
import Foundation
import Testing

@testable import Bonafide
@testable import BonafideCore

@Suite struct EnclaveKeysTests {
    private let keys = EnclaveKeys()

    @Test func aSigningKeyIsFoundAgainByItsStoredForm() throws {
        let made = try keys.makeSigningKey()
        let found = try keys.signingKey(made.representation)
        #expect(found.publicKey == made.publicKey)
        let signature = try found.signature(of: [1, 2, 3])
        #expect(signature.count == 64)
        #expect(PlatformCrypto().isValid(signature: signature, of: [1, 2, 3], by: made.publicKey))
    }

    @Test func bothSidesAgree() throws {
        let one = try keys.makeAgreementKey()
        let other = try keys.agreementKey(keys.makeAgreementKey().representation)
        #expect(try one.sharedSecret(with: other.publicKey) == other.sharedSecret(with: one.publicKey))
        #expect(try one.sharedSecret(with: other.publicKey).count == 32)
    }

    @Test func aPointOffTheCurveIsNoWordOfTheKey() throws {
        let key = try keys.makeAgreementKey()
        let point = try #require(PublicKey(x963: [4] + [UInt8](repeating: 1, count: 64)))
        #expect(throws: CryptoKitError.self) { try key.sharedSecret(with: point) }
    }

    @Test func anotherEnclavesKeyIsLost() throws {
        let foreign = try StandInEnclave.$current.withValue(StandInEnclave()) { try keys.makeSigningKey() }
        #expect(throws: KeyFailure.lost) { try keys.signingKey(foreign.representation) }
        #expect(throws: KeyFailure.lost) { try keys.agreementKey([1, 2, 3]) }
    }

    @Test func withoutAnEnclaveKeysAreUnavailable() {
        StandInEnclave.$current.withValue(StandInEnclave(isAvailable: false)) {
            #expect(throws: KeyFailure.unavailable) { try keys.makeSigningKey() }
            #expect(throws: KeyFailure.unavailable) { try keys.makeAgreementKey() }
            #expect(throws: KeyFailure.unavailable) { try keys.signingKey([]) }
            #expect(throws: KeyFailure.unavailable) { try keys.agreementKey([]) }
        }
    }

    private static func token(
        _ code: Int, domain: String = "CryptoTokenKit", under: NSError? = nil, keyStore: Int? = nil
    ) -> NSError {
        var more: [String: Any] = [:]
        more[NSUnderlyingErrorKey] = under
        more["AKSError"] = keyStore
        return NSError(domain: domain, code: code, userInfo: more)
    }

    @Test func onlyAPlainWordMeansLost() {
        let locked = Self.token(-536_870_174, domain: "AKSError")
        let lost: [any Error] = [
            Self.token(-3), Self.token(-6), CryptoKitError.incorrectParameterSize, CryptoKitError.incorrectKeySize,
            Self.token(-26275, domain: NSOSStatusErrorDomain), Self.token(-50, domain: NSOSStatusErrorDomain),
        ]
        let unclear: [any Error] = [
            Self.token(-3, under: locked), Self.token(-3, keyStore: -536_870_174), Self.token(-2),
            Self.token(-25308, domain: NSOSStatusErrorDomain, keyStore: -536_870_174),
            Self.token(-3, domain: NSCocoaErrorDomain),
            CryptoKitError.authenticationFailure, CryptoKitError.underlyingCoreCryptoError(error: -7),
            CancellationError(),
        ]
        for error in lost {
            #expect(EnclaveKeys.failure(of: error, in: .load) == .lost)
            #expect(EnclaveKeys.failure(of: error, in: .use) == .unavailable)
        }
        for error in unclear { #expect(EnclaveKeys.failure(of: error, in: .load) == .unavailable) }
    }

    @Test func whoSignsSaysWhetherTheKeyIsGoneOrTheDeviceLocked() {
        let policy = -536_362_999
        let locked = Self.token(-536_870_174, domain: "AKSError")
        for error in [Self.token(-3), Self.token(-3, keyStore: policy), Self.token(-3, under: Self.token(policy))] {
            #expect(EnclaveKeys.failure(of: error, in: .sign) == .lost)
        }
        let unavailable = [
            Self.token(-3, keyStore: -536_870_174), Self.token(-3, under: locked),
            Self.token(-3, under: Self.token(-3, under: locked)), Self.token(-2),
            Self.token(-25308, domain: NSOSStatusErrorDomain), Self.token(-50, domain: NSOSStatusErrorDomain),
        ]
        for error in unavailable { #expect(EnclaveKeys.failure(of: error, in: .sign) == .unavailable) }
    }

    @Test func aKeyThatCannotBeUsedNowIsStillThere() throws {
        let failing = StandInEnclave {
            $0 == .use ? Self.token(-25308, domain: NSOSStatusErrorDomain, keyStore: -536_870_174) : nil
        }
        try StandInEnclave.$current.withValue(failing) {
            let key = try keys.makeSigningKey()
            #expect(throws: KeyFailure.unavailable) { try key.signature(of: [1]) }
            let agreement = try keys.makeAgreementKey()
            #expect(throws: KeyFailure.unavailable) { try agreement.sharedSecret(with: agreement.publicKey) }
        }
    }
}

@Suite struct SystemClockTests {
    @Test func steadyTimeGrowsAndSleepEnds() async throws {
        let clock = SystemClock()
        let before = clock.steady()
        try await clock.sleep(0.001)
        #expect(clock.steady() - before >= 0.001)
        #expect(abs(clock.wall() - Date().timeIntervalSince1970) < 60)
    }

    @Test func aCancelledSleepThrows() async {
        let task = Task { try await SystemClock().sleep(.greatestFiniteMagnitude) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
