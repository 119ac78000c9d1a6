import Bonafide
import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// The shop's API: five requests, each with its proof.
struct ShopAPI: Sendable {
    let bonafide: Bonafide
    /// Where the API is: scheme, host and port.
    let origin: URL

    /// What the app needs before anybody has logged in.
    func config() async throws -> ShopConfig {
        try await answer(to: URLRequest(url: url("api/config")))
    }

    /// Exchanges name and password for a bearer token, which the API binds to this device: hence the hardware proof.
    func logIn(name: String, password: String) async throws -> Login {
        var request = try post(Credentials(username: name, password: password), to: "api/login")
        // A second login does no harm, so this may be sent again by itself.
        request.setValue(UUID().uuidString, forHTTPHeaderField: "Idempotency-Key")
        return try await answer(to: request, proof: .hardware)
    }

    func profile(_ token: String) async throws -> Profile {
        try await answer(to: with(token, URLRequest(url: url("api/me"))))
    }

    func orders(_ token: String) async throws -> [Order] {
        let list: OrderList = try await answer(to: with(token, URLRequest(url: url("api/orders"))))
        return list.orders
    }

    /// Places one order. This API keeps no idempotency keys, so none is sent: where nobody knows whether the order
    /// arrived, this throws `BonafideError.outcomeUnknown`, and the caller looks at `orders` before it asks again.
    func place(_ order: NewOrder, _ token: String) async throws -> Order {
        try await answer(to: with(token, try post(order, to: "api/orders")))
    }
}

extension ShopAPI {
    private func url(_ path: String) -> URL { origin.appendingPathComponent(path) }

    private func post(_ body: some Encodable, to path: String) throws -> URLRequest {
        var request = URLRequest(url: url(path))
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.httpBody = try JSONEncoder().encode(body)
        return request
    }

    private func with(_ token: String, _ request: URLRequest) -> URLRequest {
        var request = request
        request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
        return request
    }

    private func answer<Answer: Decodable>(
        to request: URLRequest, proof: ProofKind = .session
    ) async throws -> Answer {
        let (data, response) = try await bonafide.data(for: request, proof: proof)
        guard (200..<300).contains(response.statusCode) else { throw ShopError(response) }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Answer.self, from: data)
    }
}

/// An answer that is not the one that was asked for.
enum ShopError: Error, Hashable {
    /// The proof was not enough. `record` is what the operator finds the reason under.
    case notAdmitted(action: String, record: String?)
    /// The API does not know the user, or does not let that user.
    case notLoggedIn
    case failed(status: Int)

    /// Bonafide's refusals have a header that the API's own have not.
    init(_ response: HTTPURLResponse) {
        if let action = response.value(forHTTPHeaderField: "Bonafide-Action") {
            self = .notAdmitted(action: action, record: response.value(forHTTPHeaderField: "Bonafide-Record"))
        } else if [401, 403].contains(response.statusCode) {
            self = .notLoggedIn
        } else {
            self = .failed(status: response.statusCode)
        }
    }
}
