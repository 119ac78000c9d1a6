public import BonafideCore

#if canImport(FoundationNetworking)
    import Foundation
    public import FoundationNetworking
#else
    public import Foundation
#endif

/// Carries messages to Bonafide's service: no redirect, no cookie, no cache, half a minute at most.
public struct URLSessionTransport: Transport {
    private static let timeout = 30.0

    private let courier: URLCourier

    init(courier: URLCourier) { self.courier = courier }

    /// Sends through a session of its own, without pins.
    public init(configuration: URLSessionConfiguration = .ephemeral) {
        courier = URLCourier(configuration: configuration, pins: PinBoard(nil, clock: SystemClock()))
    }

    public func send(_ message: ServiceMessage) async throws -> ServiceAnswer {
        guard let url = URL(string: message.url), url.absoluteString == message.url else {
            throw BonafideError.targetNotCanonical(message.url)
        }
        var request = URLRequest(url: url, cachePolicy: .reloadIgnoringLocalCacheData, timeoutInterval: Self.timeout)
        request.httpMethod = "POST"
        request.httpShouldHandleCookies = false
        request.httpBody = Data(message.body)
        for header in message.headers { request.setValue(header.value, forHTTPHeaderField: header.name) }
        let (body, response) = try await courier.data(for: request)
        return ServiceAnswer(head: AnswerHead(response), body: [UInt8](body))
    }
}

extension AnswerHead {
    /// The head of an answer as URLSession tells it: fields that stood twice are joined by commas.
    init(_ response: HTTPURLResponse) {
        let fields = response.allHeaderFields.compactMap { name, value -> (String, String)? in
            guard let name = name as? String, let value = value as? String else { return nil }
            return (name, value)
        }
        self.init(status: response.statusCode, fields: Dictionary(fields) { first, _ in first })
    }
}
