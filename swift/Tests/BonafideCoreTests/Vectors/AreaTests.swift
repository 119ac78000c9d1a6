import Testing

/// Every folder of vectors is either spoken by the app and read here, or the service's alone, and why.
@Suite struct AreaTests {
    static let read: Set<String> = [
        "client_attestation", "client_data", "debug", "key_agreement", "key_schedule", "proof", "request", "route",
        "session",
    ]
    static let notTheApps: [String: String] = [
        "app_assertion": "made by Apple's framework and handed through as octets",
        "app_attest": "likewise",
        "cbor": "read by the service alone, inside evidence",
        "der": "likewise, inside certificates",
        "challenge": "opaque to the app",
        "dpop": "made by an OAuth library with the app's key, and judged by the service",
        "statement": "between a gate and the API behind it",
        "aes128gcm": "not opened by the app yet",
        "sealed": "likewise",
    ]

    @Test func everyAreaIsDecided() {
        #expect(Set(VectorFile.areas) == Self.read.union(Self.notTheApps.keys))
        #expect(Self.read.isDisjoint(with: Self.notTheApps.keys))
    }

    @Test(arguments: read) func everyAreaThatIsReadHasVectors(_ area: String) {
        #expect(!VectorFile.all(area).isEmpty)
    }
}
