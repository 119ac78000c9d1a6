import Bonafide
import Foundation

/// Keys of others that the shop's service hands to this install, so that the app carries none: asked for when one is
/// needed first, kept in memory, and asked for again when they have ended.
actor ShopKeys {
    private let bonafide: Bonafide
    private var secrets: AppSecrets?

    init(bonafide: Bonafide) { self.bonafide = bonafide }

    /// The key for the map of the shops; nil where the operator has set none.
    func map() async throws -> String? { try await key("maps.api_key") }

    private func key(_ name: String) async throws -> String? {
        if let secrets, secrets.expires > Date() { return secrets[name] }
        let fresh = try await bonafide.secrets()
        secrets = fresh
        return fresh[name]
    }
}

/// What the operator switches without a new version of the app. What is missing is off: names outlive versions.
struct ShopSwitches: Decodable, Sendable {
    let shopMap: Bool?
    let notice: String?

    static let none = ShopSwitches(shopMap: nil, notice: nil)
}

extension ShopAPI {
    /// The switches of now, the same for every install. Signed: no proxy turns one.
    func switches() async throws -> ShopSwitches {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try await bonafide.configuration().shared.decode(by: decoder)
    }
}
