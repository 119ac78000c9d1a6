import SwiftUI

struct LoginView: View {
    @EnvironmentObject private var model: ShopModel
    @State private var name = ""
    @State private var password = ""

    var body: some View {
        Form {
            Section {
                TextField("Name", text: $name)
                    .textInputAutocapitalization(.never)
                    .disableAutocorrection(true)
                SecureField("Password", text: $password)
                Button("Log in") {
                    Task { await model.logIn(name: name, password: password) }
                }
                .disabled(model.isBusy || name.isEmpty)
            } footer: {
                if let config = model.config { Text("Prices in \(config.currency)") }
            }
            MessageSection()
        }
    }
}

/// What went wrong last, if anything.
struct MessageSection: View {
    @EnvironmentObject private var model: ShopModel

    var body: some View {
        if let message = model.message {
            Section { Text(message).foregroundColor(.red) }
        }
    }
}
