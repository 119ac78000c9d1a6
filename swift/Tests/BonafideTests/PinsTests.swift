import CryptoKit
import Foundation
import Security
import Testing

@testable import Bonafide
@testable import BonafideCore

/// What a pin document makes of the certificates that servers show.
@Suite struct PinsTests {
    private let crypto = PlatformCrypto()
    private let one = [UInt8](repeating: 1, count: 32)
    private let spare = [UInt8](repeating: 2, count: 32)

    private func document(
        app: JSON = "shop", version: Int = 3, exp: Int = 2_000_000_000, hosts: JSON? = nil
    ) throws -> PinDocument {
        let key = try EnclaveKeys().makeSigningKey()
        let pins: JSON = .array([one, spare].map { .string(Base64.encoded($0)) })
        let header: JSON = ["alg": "ES256", "typ": "bonafide-pins+jwt", "jwk": key.publicKey.jwk]
        let claims: JSON = [
            "app": app, "version": .integer(version), "exp": .integer(exp), "pins": hosts ?? ["api.example.com": pins],
        ]
        let input = "\(Base64.urlEncoded(header.octets)).\(Base64.urlEncoded(claims.octets))"
        let token = "\(input).\(Base64.urlEncoded(try key.signature(of: Array(input.utf8))))"
        return try PinDocument(token, pins: [key.publicKey.thumbprint(crypto)], app: "shop", crypto: crypto)
    }

    @Test func aPinnedHostShowsAPinnedKey() throws {
        let pins = try document()
        let other = [UInt8](repeating: 3, count: 32)
        #expect(pins.admits([one], of: "api.example.com", at: 1))
        #expect(pins.admits([other, spare], of: "API.example.com", at: 1))
        #expect(!pins.admits([other], of: "api.example.com", at: 1))
        #expect(!pins.admits([], of: "api.example.com", at: 1))
        #expect(pins.admits([other], of: "other.example.com", at: 1))
    }

    @Test func anExpiredDocumentPinsNothing() throws {
        let pins = try document(exp: 100)
        #expect(!pins.admits([], of: "api.example.com", at: 99.9))
        #expect(pins.admits([], of: "api.example.com", at: 100))
    }

    @Test func theNewestDocumentHolds() throws {
        let board = PinBoard(nil, clock: SystemClock())
        #expect(!board.concerns("api.example.com"))
        #expect(!board.hold(nil))
        #expect(board.hold(try document(version: 3)))
        #expect(board.concerns("api.example.com"))
        #expect(!board.hold(try document(version: 2, hosts: [:])))
        #expect(!board.hold(try document(version: 3, exp: 1_999_999_999)))
        #expect(board.concerns("api.example.com"))
        #expect(board.hold(try document(version: 4, hosts: [:])))
        #expect(!board.concerns("api.example.com"), "a document without hosts takes all pins back")
    }

    @Test func theChainIsJudgedBySystemAndPins() throws {
        let key = try EnclaveKeys().makeSigningKey().publicKey
        let type = kSecAttrKeyTypeECSECPrimeRandom as String
        let leaf = SecCertificate(key: SecKey(external: Data(key.x963), type: type, bits: 256))
        let digest = Array(SHA256.hash(data: KeyKind.p256.subjectPublicKeyInfo(key.x963)))
        let hosts: JSON = [
            "api.example.com": .array([.string(Base64.encoded(digest)), .string(Base64.encoded(spare))])
        ]
        let board = PinBoard(try document(hosts: hosts), clock: SystemClock())
        #expect(board.admits(SecTrust(chain: [leaf], isTrusted: true), of: "api.example.com"))
        #expect(!board.admits(SecTrust(chain: [leaf], isTrusted: false), of: "api.example.com"))
        #expect(!board.admits(SecTrust(chain: [], isTrusted: true), of: "api.example.com"))
        let other = SecCertificate(key: SecKey(external: Data(key.x963), type: type, bits: 521))
        #expect(!board.admits(SecTrust(chain: [other], isTrusted: true), of: "api.example.com"))
        #expect(board.admits(SecTrust(chain: [], isTrusted: false), of: "other.example.com"))
    }

    /// The beginnings that OpenSSL writes for these kinds of key.
    @Test(arguments: [
        (KeyKind.rsa, 270, "30820122300d06092a864886f70d01010105000382010f00"),
        (.rsa, 398, "308201a2300d06092a864886f70d01010105000382018f00"),
        (.rsa, 526, "30820222300d06092a864886f70d01010105000382020f00"),
        (.p256, 65, "3059301306072a8648ce3d020106082a8648ce3d030107034200"),
        (.p384, 97, "3076301006072a8648ce3d020106052b81040022036200"),
    ])
    func subjectPublicKeyInfo(kind: KeyKind, count: Int, beginning: String) {
        let key = [UInt8](repeating: 9, count: count)
        let info = kind.subjectPublicKeyInfo(key)
        let expected = stride(from: 0, to: beginning.count, by: 2).compactMap {
            UInt8(beginning.dropFirst($0).prefix(2), radix: 16)
        }
        #expect(info == expected + key)
    }
}
