// What the API says and takes, in its own words.

struct ShopConfig: Decodable, Sendable {
    let currency: String
    let features: [String: Bool]
}

struct Credentials: Encodable, Sendable {
    let username: String
    let password: String
}

struct Login: Decodable, Sendable {
    let token: String
    let userId: Int
}

struct Profile: Decodable, Sendable {
    let id: Int
    let name: String
    let email: String
    let phone: String
    let address: String
}

struct NewOrder: Encodable, Sendable {
    let item: String
    let quantity: Int
}

struct Order: Decodable, Identifiable, Sendable {
    let id: Int
    let item: String
    let quantity: Int
}

struct OrderList: Decodable, Sendable {
    let orders: [Order]
}
