import BonafideCore
import BonafideTestSupport

private let appID = "TEAMID1234.com.example.app"

/// A device, and what it says of itself.
private struct Device {
    let ios: String
    var environment = SoftwareAttestor.Environment.production
    var setsExtensionFlag = false

    static let all = [
        Device(ios: "16.7"), Device(ios: "17.2.1"), Device(ios: "26.1"), Device(ios: "27.0"),
        Device(ios: "27.0", setsExtensionFlag: true), Device(ios: "27.0", environment: .development),
    ]

    func attestor(_ apple: FakeApple) -> SoftwareAttestor {
        SoftwareAttestor(
            apple: apple, appID: appID, environment: environment, systemVersion: ios, bundleVersion: "412",
            validationCategory: environment == .production ? 4 : 3, setsExtensionFlag: setsExtensionFlag)
    }
}

/// Attestations by each kind of device, under a root made here and, where there is one, under that of `given`.
func attestations(under given: FakeApple?) async throws -> JSON {
    let devices = [FakeApple(), given].compactMap(\.self).flatMap { apple in Device.all.map { (apple, $0) } }
    var attestations: [JSON] = []
    for (apple, device) in devices {
        let attestor = device.attestor(apple)
        let key = try await attestor.makeKey()
        let hash = SoftwareCrypto().random(32)
        let evidence = try await attestor.attest(key, clientDataHash: hash)
        attestations.append([
            "ios": .string(device.ios), "app_id": .string(appID), "key_id": .string(key),
            "environment": device.environment == .production ? "production" : "development",
            "client_data_hash": .octets(hash), "attestation": .octets(evidence.octets("attestation")),
            "public_key": .octets(attestor.publicKey(of: key)?.x963 ?? []), "root": .octets(apple.root),
        ])
    }
    return .array(attestations)
}

/// Two assertions by each kind of device, one after the other.
func assertions() async throws -> JSON {
    var assertions: [JSON] = []
    for device in Device.all {
        let attestor = device.attestor(FakeApple())
        let key = try await attestor.makeKey()
        _ = try await attestor.attest(key, clientDataHash: SoftwareCrypto().random(32))
        for previous in 0..<2 {
            let hash = SoftwareCrypto().random(32)
            let evidence = try await attestor.assert(key, clientDataHash: hash)
            assertions.append([
                "ios": .string(device.ios), "app_id": .string(appID), "client_data_hash": .octets(hash),
                "assertion": .octets(evidence.octets("assertion")), "previous_counter": .integer(previous),
                "public_key": .octets(attestor.publicKey(of: key)?.x963 ?? []),
            ])
        }
    }
    return .array(assertions)
}
