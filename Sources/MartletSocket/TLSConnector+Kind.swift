public import Martlet

extension TLSConnector {
    /// `tls:web1:4433?secret-file=~/.martlet-secret`.
    public static let kind = ConnectorKind(
        "tls",
        "a machine where martlet serve listens at a TCP port",
        argument: .required("host:port"),
        options: [
            .path("secret-file", \.secretFile, "the secret that both ends know; of certificates the four below"),
            certificate("certificate", .path, "our certificate") { $0.chainFile },
            certificate("key", .path, "its private key") { $0.keyFile },
            certificate("authority", .path, "who signed the server's") { $0.authorityFile },
            certificate("fingerprint", .text, "the SHA-256 fingerprint of the server's own") { $0.pin },
        ]
    ) { spec throws(SpecError) in
        let argument = spec.place
        guard let place = HostPort(argument.text), place.port > 0 else {
            throw argument.error("a port from 1 to 65535 stands behind the host", advice: "tls:host:4433")
        }
        let host = place.host
        guard !host.isEmpty, !host.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f || $0 == 0x5b || $0 == 0x5d }) else {
            throw argument.error("this is not the name of a host")
        }
        return TLSConnector(host, port: place.port, credentials: try credentials(spec, argument))
    } written: {
        HostPort($0.host, $0.port).description
    }

    /// Together they are read as ``credentials``.
    private static func certificate(
        _ name: String, _ type: ConnectorKind.ValueType, _ meaning: String,
        _ value: @escaping @Sendable (SocketCertificates) -> String?
    ) -> SpecBinding<TLSConnector> {
        SpecBinding(
            .init(name, type, meaning),
            write: { connector, parts in
                guard case .certificates(let certificates) = connector.credentials else { return }
                parts.add(name, value(certificates))
            })
    }

    private static func credentials(
        _ spec: SpecReader, _ argument: SpecReader.Text
    ) throws(SpecError) -> SocketCredentials {
        if let file = spec["secret-file"] {
            // Read here, where the spec is: the secret travels to whoever connects.
            do { return try .secretFile(file.text.expandingHome) } catch {
                throw file.error((error as? MartletError)?.message ?? "\(error)")
            }
        }
        guard let chain = spec["certificate"], let key = spec["key"],
            (spec["authority"] == nil) != (spec["fingerprint"] == nil)
        else {
            throw argument.error(
                "nothing says how both ends know each other",
                advice: "add secret-file=, or certificate= and key= with authority= or fingerprint=")
        }
        return .certificates(
            .init(
                chainFile: chain.text, keyFile: key.text, authorityFile: spec["authority"]?.text,
                pin: spec["fingerprint"]?.text))
    }
}
