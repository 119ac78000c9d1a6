import BonafideTestSupport
import Testing

@testable import BonafideCore

/// Sessions that the support seals open as those of the service do, and each change is refused by its name.
@Suite struct SupportSessionTests {
    private let crypto = SoftwareCrypto()
    private let issuer = SessionIssuer()
    private let agree = SoftwareAgreementKey()
    private let claims = SessionClaims(
        app: "shop", instance: "inst", jkt: "jkt", challenge: "challenge", issuedAt: 1_764_000_000,
        expiresAt: 1_764_000_300)

    private func open(_ token: String, pins: Set<String>? = nil, key: SoftwareAgreementKey? = nil) throws -> Session {
        let expected = SessionExpectation(
            app: "shop", instance: "inst", jkt: "jkt", challenge: "challenge", pins: pins ?? [issuer.thumbprint])
        return try Session.open(token, key: key ?? agree, expecting: expected, crypto: crypto)
    }

    @Test func aSealedSessionOpens() throws {
        let session = try open(issuer.issue(claims, to: agree.publicKey))
        #expect(session.id == claims.id)
        #expect(session.key == claims.key)
        #expect((session.issuedAt, session.expiresAt) == (claims.issuedAt, claims.expiresAt))
    }

    @Test func theSameEphemeralAndNonceMakeTheSameHeader() throws {
        let ephemeral = try #require(SoftwareAgreementKey(scalar: [UInt8](repeating: 3, count: 32)))
        let nonce = [UInt8](repeating: 4, count: 12)
        let token = try issuer.issue(claims, to: agree.publicKey, ephemeral: ephemeral, nonce: nonce)
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        #expect(Base64.urlDecoded(parts[2]) == nonce)
        let header = try #require(Base64.urlDecoded(parts[0]).flatMap { JSONReader.object($0) })
        #expect(header["epk"] == ephemeral.publicKey.jwk)
        #expect(throws: CryptoRefused.sizes) { try issuer.issue(claims, to: agree.publicKey, nonce: [1]) }
    }

    @Test func anotherDeviceOrServiceIsRefused() throws {
        let token = try issuer.issue(claims, to: agree.publicKey)
        #expect(throws: SessionRefused.decryptionFailed) { try open(token, key: SoftwareAgreementKey()) }
        #expect(throws: SessionRefused.serviceKeyNotPinned) { try open(token, pins: [SessionIssuer().thumbprint]) }
    }

    @Test func aTextOfAnotherIsRefused() {
        func refuses(_ text: WritableKeyPath<SessionClaims, String>, as refusal: SessionRefused) {
            var claims = claims
            claims[keyPath: text] += "2"
            #expect(throws: refusal) { try open(issuer.issue(claims, to: agree.publicKey)) }
        }
        refuses(\.app, as: .appMismatch)
        refuses(\.instance, as: .instanceMismatch)
        refuses(\.jkt, as: .jktMismatch)
        refuses(\.challenge, as: .challengeMismatch)
    }

    @Test(arguments: [(0, false), (1, true), (3600, true), (3601, false), (-1, false)])
    func itsLifetimeIsAnHourAtMost(seconds: Int, isTaken: Bool) throws {
        var claims = claims
        claims.expiresAt = claims.issuedAt + seconds
        let token = try issuer.issue(claims, to: agree.publicKey)
        if isTaken {
            _ = try open(token)
        } else {
            #expect(throws: SessionRefused.lifetimeRefused) { try open(token) }
        }
    }

    @Test func anotherTypeOfTokenIsNoSession() throws {
        let token = try issuer.seal(issuer.sign([], type: "bonafide-pins+jwt"), to: agree.publicKey)
        #expect(throws: SessionRefused.headerRefused) { try open(token) }
        let empty = try issuer.seal(issuer.sign(Array("{}".utf8)), to: agree.publicKey)
        #expect(throws: SessionRefused.claimsMalformed) { try open(empty) }
    }

    @Test func oneBitOffInAnyPartIsRefused() throws {
        let parts = try issuer.issue(claims, to: agree.publicKey)
            .split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        for index in [2, 3, 4] {
            var changed = parts
            changed[index] = Base64.urlEncoded(try #require(Base64.urlDecoded(parts[index])).oneBitOff)
            #expect(throws: SessionRefused.decryptionFailed) { try open(changed.joined(separator: ".")) }
        }
    }
}
