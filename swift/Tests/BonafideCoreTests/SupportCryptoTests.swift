import BonafideTestSupport
import Testing

@testable import BonafideCore

/// The software primitives against the vectors of their standards, and one bit off each.
@Suite struct SupportCryptoTests {
    private let crypto = SoftwareCrypto()

    /// FIPS 180-4, as NIST's examples have it.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func sha256(text: String, digest: String) {
        #expect(crypto.sha256(Array(text.utf8)) == fromHex(digest))
        #expect(crypto.sha256(Array(text.utf8) + [0]) != fromHex(digest))
    }

    @Test func sha256InPiecesIsThatOfTheWhole() {
        let octets = (0..<1000).map { UInt8($0 & 0xFF) }
        var state = crypto.makeSHA256()
        #expect(state.digest() == crypto.sha256([]))
        for start in stride(from: 0, to: 1000, by: 77) { state.update(Array(octets[start..<min(start + 77, 1000)])) }
        state.update([])
        #expect(state.digest() == crypto.sha256(octets))
        #expect(state.digest() == crypto.sha256(octets), "to read it does not end it")
        var copy = state
        copy.update([1])
        #expect(state.digest() == crypto.sha256(octets), "a copy runs on its own")
        #expect(copy.digest() == crypto.sha256(octets + [1]))
    }

    /// RFC 4231 sections 4.2, 4.3 and 4.7: a short key, a shorter one, and one that is longer than a block.
    @Test(arguments: [
        (
            [UInt8](repeating: 0x0B, count: 20), "Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            Array("Jefe".utf8), "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            [UInt8](repeating: 0xAA, count: 131), "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ])
    func hmac(key: [UInt8], text: String, tag: String) {
        #expect(crypto.hmacSHA256(key: key, Array(text.utf8)) == fromHex(tag))
        #expect(crypto.hmacSHA256(key: key.oneBitOff, Array(text.utf8)) != fromHex(tag))
        #expect(crypto.hmacSHA256(key: key, Array(text.utf8).oneBitOff) != fromHex(tag))
    }

    /// RFC 5869 appendices A.1 and A.3 (without a salt): the first block, which is all that the core derives.
    @Test func hkdf() {
        let key = [UInt8](repeating: 0x0B, count: 22)
        let salt = fromHex("000102030405060708090a0b0c")
        let info = fromHex("f0f1f2f3f4f5f6f7f8f9")
        let derived = fromHex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")
        #expect(KeyDerivation.hkdf(key, salt: salt, info: info, crypto: crypto) == derived)
        #expect(KeyDerivation.hkdf(key, salt: salt.oneBitOff, info: info, crypto: crypto) != derived)
        #expect(
            KeyDerivation.hkdf(key, salt: [], info: [], crypto: crypto)
                == fromHex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"))
    }

    /// Test case 16 of the GCM specification (McGrew and Viega).
    @Test func aesGCM() throws {
        let key = fromHex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
        let nonce = fromHex("cafebabefacedbaddecaf888")
        let text = fromHex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39")
        let data = fromHex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
        let ciphertext = fromHex(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662")
        let tag = fromHex("76fc6ece0f4e1768cddf8853bb2d551b")
        let sealed = try crypto.sealAESGCM(key: key, nonce: nonce, plaintext: text, additionalData: data)
        #expect(sealed == (ciphertext, tag))

        let inputs = [key, nonce, ciphertext, tag, data]
        func open(_ inputs: [[UInt8]]) throws -> [UInt8] {
            try crypto.openAESGCM(
                key: inputs[0], nonce: inputs[1], ciphertext: inputs[2], tag: inputs[3], additionalData: inputs[4])
        }
        #expect(try open(inputs) == text)
        for index in inputs.indices {
            var changed = inputs
            changed[index] = inputs[index].oneBitOff
            #expect(throws: CryptoRefused.tag) { try open(changed) }
        }
        for index in [0, 1, 3] {
            var changed = inputs
            changed[index].removeLast()
            #expect(throws: CryptoRefused.sizes) { try open(changed) }
        }
    }

    /// Test case 13 of the GCM specification: nothing is sealed, and there is a tag of it.
    @Test func aesGCMOfNothing() throws {
        let zeros = [UInt8](repeating: 0, count: 32)
        let tag = fromHex("530f8afbc74536b9a963b4f1c4cb738b")
        let nonce = Array(zeros.prefix(12))
        let sealed = try crypto.sealAESGCM(key: zeros, nonce: nonce, plaintext: [], additionalData: [])
        #expect(sealed == ([], tag))
        #expect(
            try crypto.openAESGCM(key: zeros, nonce: nonce, ciphertext: [], tag: tag, additionalData: []).isEmpty)
    }

    /// RFC 7515 appendix A.3.
    @Test func es256() throws {
        let key = try #require(
            PublicKey(jwk: [
                "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            ]))
        let signed = Array(
            ("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb"
                + "290Ijp0cnVlfQ").utf8)
        let signature = try #require(
            Base64.urlDecoded("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"))
        #expect(crypto.isValid(signature: signature, of: signed, by: key))
        #expect(!crypto.isValid(signature: signature.oneBitOff, of: signed, by: key))
        #expect(!crypto.isValid(signature: signature, of: signed.oneBitOff, by: key))
        #expect(!crypto.isValid(signature: Array(signature.dropLast()), of: signed, by: key))
        #expect(!crypto.isValid(signature: [UInt8](repeating: 0, count: 64), of: signed, by: key))
        let offCurve = try #require(PublicKey(x963: [4] + key.x + key.y.oneBitOff))
        #expect(!crypto.isValid(signature: signature, of: signed, by: offCurve))
    }

    /// RFC 7518 appendix C: the secret, from both sides. What is derived from it there has party infos, which no
    /// token of ours has, so that the hash is written out.
    @Test func ecdhES() throws {
        let alice = try key("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo")
        let bob = try key("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw")
        #expect(Base64.urlEncoded(bob.publicKey.x) == "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ")
        #expect(Base64.urlEncoded(bob.publicKey.y) == "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck")
        let secret: [UInt8] = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128,
            106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ]
        #expect(try alice.sharedSecret(with: bob.publicKey) == secret)
        #expect(try bob.sharedSecret(with: alice.publicKey) == secret)
        let round: [UInt8] = [0, 0, 0, 1]
        let parties = [0, 0, 0, 7] + "A128GCM".utf8 + [0, 0, 0, 5] + "Alice".utf8 + [0, 0, 0, 3] + "Bob".utf8
        let derived = crypto.sha256(round + secret + parties + [0, 0, 0, 128])
        #expect(Base64.urlEncoded(derived.prefix(16)) == "VqqN6vgjbSBcIijNcacQGg")

        let ours = [0, 0, 0, 7] + "A256GCM".utf8 + [UInt8](repeating: 0, count: 8) + [0, 0, 1, 0]
        #expect(
            KeyDerivation.concatKDF(secret: secret, algorithm: "A256GCM", crypto: crypto)
                == crypto.sha256(round + secret + ours))
    }

    private func key(_ scalar: String) throws -> SoftwareAgreementKey {
        try #require(Base64.urlDecoded(scalar).flatMap { SoftwareAgreementKey(scalar: $0) })
    }

    @Test func randomOctetsDiffer() {
        #expect(crypto.random(0).isEmpty)
        #expect(Set((0..<100).map { _ in crypto.random(16) }).count == 100)
        #expect(crypto.random(33).count == 33)
    }
}
