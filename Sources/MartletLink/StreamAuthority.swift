package import MartletWire

/// Who may open which kind of stream to whom. What is not named here is refused.
package enum StreamAuthority {
    /// - Returns: why `opener` may not open a stream of `kind` to `acceptor`; `nil` if it may.
    package static func refusal(
        of kind: StreamKind,
        from opener: ContextAddress,
        to acceptor: ContextAddress
    ) -> String? {
        switch kind {
        case .call, .command, .connect, .disconnect, .status, .detach, .dial, .listen, .join:
            // What makes something happen comes from above only.
            opener.isAncestor(of: acceptor) ? nil : "only a context above may ask for a \(kind)"
        case .echo:
            opener.isAncestor(of: acceptor) || acceptor.isAncestor(of: opener) ? nil : "only up or down the tree"
        case .channel, .invoke:
            // Whoever shows the acceptor a token that it gave out may have the end, or the actor, that goes with it.
            opener == acceptor ? "a context needs no stream to itself" : nil
        case .fetch:
            // Whoever is asked looks at the token.
            acceptor.isAncestor(of: opener) ? nil : "only what is above may be asked for a \(kind)"
        case .output, .log:
            acceptor.isRoot && !opener.isRoot ? nil : "\(kind) goes to the controller only"
        }
    }
}
