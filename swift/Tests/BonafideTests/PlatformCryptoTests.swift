import BonafideTestSupport
import CryptoKit
import Foundation
import Testing

@testable import Bonafide
@testable import BonafideCore

@Suite struct PlatformCryptoTests {
    private let crypto = PlatformCrypto()

    private func octets(_ hexadecimal: String) -> [UInt8] {
        let digits = Array(hexadecimal.filter { !$0.isWhitespace })
        return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
    }

    /// FIPS 180-2, appendix B.1.
    private let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    @Test func sha256() {
        #expect(crypto.sha256(Array("abc".utf8)) == octets(abc))
        #expect(
            crypto.sha256([]) == octets("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
    }

    @Test func sha256InPieces() {
        var state = crypto.makeSHA256()
        state.update([0x61])
        var branch = state
        state.update([0x62, 0x63])
        branch.update([0x7A])
        #expect(state.digest() == octets(abc))
        #expect(state.digest() == octets(abc))
        #expect(branch.digest() == crypto.sha256([0x61, 0x7A]))
    }

    /// RFC 4231, test cases 1, 2 and 6.
    @Test(arguments: [
        (
            String(repeating: "0b", count: 20), "4869205468657265",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            String(repeating: "aa", count: 131),
            "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b65792046697273"
                + "74",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ])
    func hmac(key: String, text: String, code: String) {
        #expect(crypto.hmacSHA256(key: octets(key), octets(text)) == octets(code))
    }

    /// RFC 7515, appendix A.3.
    @Test func es256() throws {
        let jwk = try #require(
            PublicKey(jwk: [
                "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            ]))
        let input =
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9p"
            + "c19yb290Ijp0cnVlfQ"
        let signature = try #require(
            Base64.urlDecoded(
                "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"))
        #expect(crypto.isValid(signature: signature, of: Array(input.utf8), by: jwk))
        #expect(!crypto.isValid(signature: signature, of: Array((input + "x").utf8), by: jwk))
        #expect(!crypto.isValid(signature: Array(signature.dropLast()), of: Array(input.utf8), by: jwk))
        #expect(!crypto.isValid(signature: [UInt8](repeating: 0, count: 64), of: Array(input.utf8), by: jwk))
    }

    @Test func aKeyThatIsNoPointHasSignedNothing() throws {
        let key = try #require(PublicKey(x963: [4] + [UInt8](repeating: 1, count: 64)))
        #expect(!crypto.isValid(signature: [UInt8](repeating: 1, count: 64), of: [], by: key))
    }

    /// NIST's GCM vectors, AES-256, test case 16.
    @Test func aesGCM() throws {
        let key = octets("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
        let nonce = octets("cafebabefacedbaddecaf888")
        let additional = octets("feedfacedeadbeeffeedfacedeadbeefabaddad2")
        let ciphertext = octets(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393"
                + "ba7a0abcc9f662")
        let tag = octets("76fc6ece0f4e1768cddf8853bb2d551b")
        let text = try crypto.openAESGCM(
            key: key, nonce: nonce, ciphertext: ciphertext, tag: tag, additionalData: additional)
        #expect(text.starts(with: octets("d9313225f88406e5a55909c5aff5269a")))
        #expect(text.count == 60)
        let spoilt: [([UInt8], [UInt8], [UInt8], [UInt8], [UInt8])] = [
            (key.reversed(), nonce, ciphertext, tag, additional), (key, nonce.reversed(), ciphertext, tag, additional),
            (key, nonce, ciphertext.reversed(), tag, additional), (key, nonce, ciphertext, tag.reversed(), additional),
            (key, nonce, ciphertext, tag, []), (Array(key.prefix(16)), nonce, ciphertext, tag, additional),
            (key, nonce, ciphertext, Array(tag.dropLast()), additional), (key, [], ciphertext, tag, additional),
        ]
        for (key, nonce, ciphertext, tag, additional) in spoilt {
            #expect(throws: (any Error).self) {
                try crypto.openAESGCM(
                    key: key, nonce: nonce, ciphertext: ciphertext, tag: tag, additionalData: additional)
            }
        }
    }

    /// RFC 7518, appendix C, with A128GCM's 16 octets of the Concat KDF's 32; the agreement is that of the curve.
    @Test func ecdh() throws {
        let bob = try #require(
            PublicKey(jwk: [
                "kty": "EC", "crv": "P-256", "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
                "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
            ]))
        let scalar = try #require(Base64.urlDecoded("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"))
        let alice = try #require(
            PublicKey(jwk: [
                "kty": "EC", "crv": "P-256", "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
                "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
            ]))
        let key = try StandInEnclave.$current.withValue(StandInEnclave()) {
            try EnclaveKeys().agreementKey(StandInEnclave.current.wrapped(alice.x963, scalar: scalar))
        }
        let secret = try key.sharedSecret(with: bob)
        #expect(
            secret == [
                158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128,
                106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
            ])
    }

    @Test func randomOctetsDiffer() {
        #expect(crypto.random(16).count == 16)
        #expect(crypto.random(0).isEmpty)
        #expect(Set((0..<100).map { _ in crypto.random(16) }).count == 100)
    }
}
