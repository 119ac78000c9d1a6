import Testing

@testable import BonafideTestSupport

/// DER and CBOR as the software App Attest writes them: each octet string in its one form.
@Suite struct SupportEncodingTests {
    @Test(
        arguments: [
            ([0], "020100"), ([0, 0, 1], "020101"), ([0x7F], "02017f"), ([0x80], "02020080"),
            ([0, 0xFF, 1], "020300ff01"),
            ([], "020100"),
        ] as [([UInt8], String)])
    func integersAreShortAndNotNegative(octets: [UInt8], der: String) {
        #expect(DER.integer(octets) == fromHex(der))
    }

    @Test func lengthsAreShort() {
        #expect(DER.octets([UInt8](repeating: 1, count: 127)).prefix(2) == [4, 127])
        #expect(DER.octets([UInt8](repeating: 1, count: 128)).prefix(3) == [4, 0x81, 128])
        #expect(DER.octets([UInt8](repeating: 1, count: 256)).prefix(4) == [4, 0x82, 1, 0])
    }

    @Test func tagsAndIdentifiersOfManyOctets() {
        #expect(DER.tagged(4, []) == [0xA4, 0])
        #expect(DER.tagged(1400, [1]) == [0xBF, 0x8A, 0x78, 1, 1])
        #expect(DER.oid("1.2.840.113635.100.8.2") == fromHex("06092a864886f763640802"))
        #expect(DER.oid("2.5.29.19") == fromHex("0603551d13"))
    }

    @Test(arguments: [
        (0, "700101000000Z"), (951_782_399, "000228235959Z"), (951_782_400, "000229000000Z"),
        (951_868_800, "000301000000Z"), (1_584_556_433, "200318183353Z"), (1_735_689_599, "241231235959Z"),
        (2_373_148_800, "450315000000Z"), (2_524_607_999, "491231235959Z"), (2_524_608_000, "20500101000000Z"),
        (4_107_542_400, "21000301000000Z"),
    ])
    func timesAreThoseOfTheCalendar(seconds: Int, text: String) {
        let kind: UInt8 = text.count == 13 ? 0x17 : 0x18
        #expect(DER.time(seconds) == [kind, UInt8(text.count)] + text.utf8)
    }

    @Test(arguments: [
        (0, "00"), (23, "17"), (24, "1818"), (255, "18ff"), (256, "190100"), (65535, "19ffff"), (-1, "20"),
        (-7, "26"), (-25, "3818"),
    ])
    func integersOfCBORHaveTheShortestHead(value: Int, cbor: String) {
        #expect(CBOR.integer(value) == fromHex(cbor))
    }

    @Test func mapsKeepTheirOrder() {
        let map = CBOR.map((CBOR.text("b"), CBOR.array(CBOR.octets([1]))), (CBOR.integer(-2), CBOR.text("")))
        #expect(map == fromHex("a26162814101" + "2160"))
    }

    @Test func accessConditionsAreThoseOfApplesSample() {
        let contents = LeafContents(
            keyID: [], publicPoint: [], nonce: [], appID: "", system: SystemVersion(text: "27.0"))
        let sample = fromHex(
            "3049a347044530430c023131303d300a0c036f6b64a1030101ff30090c026f61a1030101ff"
                + "300b0c046f73676ea1030101ff300b0c046f64656ca1030101ff300a0c036f636ba1030101ff")
        #expect(contents.extensions.last?.suffix(sample.count) == sample[...])
    }
}
