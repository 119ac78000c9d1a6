// Compiled and never run: what an app writes that imports the SDK alone. The core's names stay out of its way.

import Bonafide
import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// The quick start, its options and its errors.
func alone(_ url: URL, _ request: URLRequest) async -> String {
    var options = Bonafide.Options()
    options.versions = .init(app: "1.0", system: "18.5")
    options.unsupportedDevices = .enrolWithoutEvidence
    options.role = .appExtension
    let bonafide = Bonafide(service: url, app: "shop", serviceKeys: ["a", "b"], options: options)
    let proof: ProofKind = .hardware
    do {
        return String(decoding: try await bonafide.data(for: request, proof: proof).0, as: UTF8.self)
    } catch BonafideError.refused(let status, .updateApp?, let record) {
        return "\(status) \(record ?? "")"
    } catch BonafideError.outcomeUnknown(let action) {
        return action.rawValue
    } catch {
        return "\(error)"
    }
}

/// The standard library's, and not the core's port of that name.
func tick(_ clock: any Clock<Duration>) async throws { try await clock.sleep(for: .seconds(1)) }
