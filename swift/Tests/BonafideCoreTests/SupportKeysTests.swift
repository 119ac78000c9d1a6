import BonafideTestSupport
import Testing

@testable import BonafideCore

/// The device's keys in software: what they make, and what befalls them.
@Suite struct SupportKeysTests {
    private let crypto = SoftwareCrypto()

    @Test func aSigningKeyIsFoundAgainByItsStoredForm() throws {
        let keys = SoftwareDeviceKeys()
        let key = try keys.makeSigningKey()
        let found = try keys.signingKey(key.representation)
        #expect(found.publicKey == key.publicKey)
        let text = Array("{}".utf8)
        for signer in [key, found] {
            let signature = try signer.signature(of: text)
            #expect(signature.count == 64)
            #expect(crypto.isValid(signature: signature, of: text, by: key.publicKey))
            #expect(!crypto.isValid(signature: signature, of: text.oneBitOff, by: key.publicKey))
        }
        let other = try keys.makeSigningKey()
        #expect(!crypto.isValid(signature: try other.signature(of: text), of: text, by: key.publicKey))
        #expect((keys.signingKeysMade, keys.agreementKeysMade) == (2, 0))
    }

    @Test func oneKeyServesManyThreads() async {
        let key = SoftwareSigningKey()
        let valid = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<200 as Range<UInt8> {
                group.addTask { [crypto] in
                    guard let signature = try? key.signature(of: [number]) else { return false }
                    return crypto.isValid(signature: signature, of: [number], by: key.publicKey)
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(valid == 200)
    }

    @Test func twoAgreementKeysHaveOneSecret() throws {
        let keys = SoftwareDeviceKeys()
        let (first, second) = (try keys.makeAgreementKey(), try keys.makeAgreementKey())
        let secret = try first.sharedSecret(with: second.publicKey)
        #expect(secret.count == 32)
        #expect(try keys.agreementKey(second.representation).sharedSecret(with: first.publicKey) == secret)
        #expect((keys.signingKeysMade, keys.agreementKeysMade) == (0, 2))
    }

    @Test func noSecretWithAPointThatIsNotOnTheCurve() throws {
        let key = SoftwareAgreementKey()
        let point = SoftwareAgreementKey().publicKey
        let offCurve = try #require(PublicKey(x963: [4] + point.x + point.y.oneBitOff))
        #expect(throws: KeyFailure.lost) { try key.sharedSecret(with: offCurve) }
    }

    @Test(arguments: [
        [], [1], [UInt8](repeating: 0, count: 32), [UInt8](repeating: 0xFF, count: 32),
        fromHex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),  // the order
        [0] + [UInt8](repeating: 1, count: 32),
    ])
    func whatIsNoScalarIsNoKey(octets: [UInt8]) {
        #expect(SoftwareSigningKey(scalar: octets) == nil)
        #expect(SoftwareAgreementKey(scalar: octets) == nil)
        #expect(throws: KeyFailure.lost) { try SoftwareDeviceKeys().signingKey(octets) }
        #expect(throws: KeyFailure.lost) { try SoftwareDeviceKeys().agreementKey(octets) }
    }

    @Test func theGreatestAndTheLeastScalarAreKeys() throws {
        let last = fromHex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550")
        let first = [UInt8](repeating: 0, count: 31) + [1]
        let generator = try #require(SoftwareSigningKey(scalar: first)).publicKey
        let negated = try #require(SoftwareSigningKey(scalar: last)).publicKey
        #expect(generator.x == fromHex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"))
        #expect(negated.x == generator.x)
        #expect(negated.y != generator.y)
    }

    @Test func whatBefallsADeviceIsThrownUntilItIsOver() throws {
        let keys = SoftwareDeviceKeys()
        let key = try keys.makeSigningKey()
        let agree = try keys.makeAgreementKey()
        for failure in [KeyFailure.lost, .unavailable] {
            keys.restoreFailure = failure
            #expect(throws: failure) { try keys.signingKey(key.representation) }
            #expect(throws: failure) { try keys.agreementKey(agree.representation) }
        }
        keys.restoreFailure = nil
        #expect(try keys.signingKey(key.representation).publicKey == key.publicKey)

        keys.makeFailure = .unavailable
        #expect(throws: KeyFailure.unavailable) { try keys.makeSigningKey() }
        #expect(throws: KeyFailure.unavailable) { try keys.makeAgreementKey() }
        keys.useFailure = .unavailable
        #expect(throws: KeyFailure.unavailable) { try key.signature(of: [1]) }
        #expect(throws: KeyFailure.unavailable) { try agree.sharedSecret(with: key.publicKey) }
        keys.useFailure = nil
        #expect(try key.signature(of: [1]).count == 64)
        #expect((keys.signingKeysMade, keys.agreementKeysMade) == (1, 1))
    }
}
