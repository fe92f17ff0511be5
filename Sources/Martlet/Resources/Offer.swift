extension Controller {
    /// Lets contexts that show the token fetch what the provider has, as long as this controller lives.
    ///
    /// - Parameter isCurrent: whether one that was offered before will do.
    package func offer<Provider: ResourceProvider>(
        _ isCurrent: (Provider) -> Bool, make: () -> Provider
    ) -> (token: [UInt8], provider: Provider) {
        let (token, provider) = runtime.resources.offer(isCurrent, make: make)
        return (token.bytes, provider)
    }
}

extension Context {
    /// As ``Controller``'s: this process offers it, whatever the context.
    package func offer<Provider: ResourceProvider>(
        _ isCurrent: (Provider) -> Bool, make: () -> Provider
    ) -> (token: [UInt8], provider: Provider) {
        let (token, provider) = runtime.resources.offer(isCurrent, make: make)
        return (token.bytes, provider)
    }
}
