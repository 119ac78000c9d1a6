import BonafideTestSupport
import Testing

@testable import BonafideCore

/// What only the device does with a session: opens it, and derives keys of it.
@Suite struct SessionVectorTests {
    private let crypto = SoftwareCrypto()

    @Test(arguments: VectorFile.all("session"))
    func everySessionGetsItsVerdict(_ vector: VectorFile) throws {
        let key = try #require(SoftwareAgreementKey(scalar: vector.scalar("agree_key")))
        let expected = SessionExpectation(
            app: try vector.text("app"), instance: try vector.text("instance"), jkt: try vector.text("jkt"),
            challenge: try vector.text("challenge"),
            pins: Set(try #require(vector.input["pinned"]?.elements).compactMap(\.text)))
        let token = try vector.text("session")
        do {
            let session = try Session.open(token, key: key, expecting: expected, crypto: crypto)
            #expect(vector.isAccepted)
            #expect(session.id == (try vector.claimed("sid")))
            #expect(session.key == (try vector.claimed("key")))
            #expect(session.issuedAt == vector.claims?["iat"]?.integer)
            #expect(session.expiresAt == vector.claims?["exp"]?.integer)
        } catch let refused as SessionRefused {
            #expect(refused.rawValue == vector.expect)
        }
    }

    @Test(arguments: VectorFile.all("key_schedule"))
    func everyScheduleDerivesTheSameKeys(_ vector: VectorFile) throws {
        let session = try sessionKey(
            gateKey: vector.octets("gate_key"), sid: vector.octets("sid"), app: vector.text("app"),
            jkt: vector.text("jkt"), expires: try #require(vector.input["exp"]?.integer))
        #expect(session == (try vector.claimed("session_key")))
        #expect(KeyDerivation.macKey(session: session, crypto: crypto) == (try vector.claimed("mac_key")))
    }

    @Test(arguments: VectorFile.all("key_agreement"))
    func everyAgreementDerivesTheSameKey(_ vector: VectorFile) throws {
        let key = try #require(SoftwareAgreementKey(scalar: vector.scalar("agree_key")))
        let members = try ["kty", "crv", "x", "y"].map {
            JSON.Member($0, .string(try vector.text("epk_\($0)")))
        }
        let secret = try key.sharedSecret(with: try #require(PublicKey(jwk: .object(members))))
        let derived = KeyDerivation.concatKDF(secret: secret, algorithm: try vector.text("enc"), crypto: crypto)
        #expect(derived == (try vector.claimed("key")))
    }

    @Test(arguments: VectorFile.all("client_data"))
    func clientDataIsTheSameOctets(_ vector: VectorFile) throws {
        let sign = try #require(SoftwareSigningKey(scalar: vector.scalar("sign_key")))
        let agree = try #require(SoftwareAgreementKey(scalar: vector.scalar("agree_key")))
        let configuration = Configuration(
            service: "https://api.example.com/bonafide/v1", app: try vector.text("app"), serviceKeys: [],
            identity: try vector.text("identity"),
            versions: .init(
                app: try vector.text("app_version"), system: try vector.text("os_version"),
                sdk: try vector.text("sdk_version")))
        let challenge = try vector.text("challenge")
        let written =
            try vector.text("type") == "enrol"
            ? ClientData.enrolment(
                challenge: challenge, configuration: configuration, sign: sign.publicKey, agree: agree.publicKey)
            : ClientData.renewal(
                challenge: challenge, configuration: configuration, instance: try vector.text("instance"),
                jkt: sign.publicKey.thumbprint(crypto))
        #expect(written == (try vector.claimed("client_data")))
        #expect(crypto.sha256(written) == (try vector.claimed("client_data_hash")))
        #expect(ClientData.body(written, evidence: .none) == (try vector.claimed("body")))
    }
}

/// The session key that a gate derives (PROTOCOL section 5): the app is given it, and derives it only here.
func sessionKey(gateKey: [UInt8], sid: [UInt8], app: String, jkt: String, expires: Int) -> [UInt8] {
    let crypto = SoftwareCrypto()
    let info =
        Array("bonafide session\u{0}".utf8) + crypto.sha256(Array(app.utf8)) + Array(jkt.utf8)
        + KeyDerivation.bigEndian(UInt64(expires))
    return KeyDerivation.hkdf(gateKey, salt: sid, info: info, crypto: crypto)
}
