import CMartlet
public import Martlet
import NIOSSL

/// How two ends of a TLS connection know each other. Both are always proven; there is no open mode.
public enum SocketCredentials: Sendable, Codable {
    /// Both know the same 256 bits (TLS 1.2 with ECDHE-PSK: forward secret, no certificates). See
    /// ``SocketCredentials/secretFile(_:)``.
    case sharedSecret(Secret)
    /// Both have certificates.
    case certificates(SocketCertificates)

    /// The secret in a file: 64 hexadecimal digits on its first line, as `martlet serve --create-secret` writes. The file must
    /// be its owner's alone.
    ///
    /// - Throws: `MartletError` with code `misuse`.
    public static func secretFile(_ path: String) throws -> SocketCredentials {
        .sharedSecret(try Secret(contentsOfFile: path))
    }

    /// 256 random bits, in the form that both ends take.
    public static func newSecret() -> Secret {
        let digits = Array("0123456789abcdef".utf8)
        return Secret(bytes: (0..<64).map { _ in digits[Int(UInt8.random(in: 0..<16))] })
    }
}

/// One end's certificate, and whom it believes. Files are in PEM form.
public struct SocketCertificates: Sendable, Codable {
    /// This end's certificate, with those between it and its authority if there are any.
    public var chainFile: String
    /// Its private key.
    public var keyFile: String
    /// Who signed the other end's certificate; `nil`: it must be ``pin``.
    public var authorityFile: String?
    /// The SHA-256 fingerprint of the other end's own certificate, as 64 hexadecimal digits, with or without colons: for
    /// self-signed ones.
    public var pin: String?

    /// One of `authorityFile` and `pin` must be given.
    public init(chainFile: String, keyFile: String, authorityFile: String? = nil, pin: String? = nil) {
        self.chainFile = chainFile
        self.keyFile = keyFile
        self.authorityFile = authorityFile
        self.pin = pin
    }
}

extension SocketCredentials {
    /// What NIOSSL needs for one end.
    struct Context {
        var context: NIOSSLContext
        /// Judges the other end's certificate instead of NIOSSL.
        var verifiesPin: (@Sendable ([NIOSSLCertificate]) -> Bool)?
    }

    func context(isServer: Bool) throws -> Context {
        do {
            switch self {
            case .sharedSecret(let secret): return try Context(context: Self.context(secret, isServer: isServer))
            case .certificates(let certificates): return try certificates.context(isServer: isServer)
            }
        } catch let error as MartletError {
            throw error
        } catch {
            throw MartletError(.misuse, "the credentials cannot be used: \(error)")
        }
    }

    private static func context(_ secret: Secret, isServer: Bool) throws -> NIOSSLContext {
        guard let key = secret.withBytes({ hexadecimal($0) }), key.count == 32 else {
            throw MartletError(
                .misuse, "a shared secret has 64 hexadecimal digits",
                advice: "make one: martlet serve --create-secret FILE")
        }
        var configuration = TLSConfiguration.makePreSharedKeyConfiguration()
        // The suites for shared secrets of TLS 1.3 are not in the library. This one is forward secret.
        configuration.minimumTLSVersion = .tlsv12
        configuration.maximumTLSVersion = .tlsv12
        configuration.cipherSuites = "ECDHE-PSK-CHACHA20-POLY1305"
        if isServer {
            configuration.pskServerProvider = { context in
                guard context.clientIdentity == identity else { throw MartletError(.refused, "an unknown identity") }
                return PSKServerIdentityResponse(key: NIOSSLSecureBytes(key))
            }
        } else {
            configuration.pskClientProvider = { _ in
                PSKClientIdentityResponse(key: NIOSSLSecureBytes(key), identity: identity)
            }
        }
        return try NIOSSLContext(configuration: configuration)
    }

    private static let identity = "martlet"
}

extension SocketCertificates {
    func context(isServer: Bool) throws -> SocketCredentials.Context {
        let chain = try NIOSSLCertificate.fromPEMFile(chainFile).map { NIOSSLCertificateSource.certificate($0) }
        let key = NIOSSLPrivateKeySource.privateKey(try NIOSSLPrivateKey(file: keyFile, format: .pem))
        guard (authorityFile == nil) != (pin == nil) else {
            throw MartletError(
                .misuse, "certificates need exactly one of an authority and a pinned fingerprint: whom else to believe?"
            )
        }
        let roots = try authorityFile.map { NIOSSLTrustRoots.certificates(try NIOSSLCertificate.fromPEMFile($0)) }
        var configuration =
            isServer
            ? TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: key)
            : TLSConfiguration.makeClientConfiguration()
        configuration.certificateChain = chain
        configuration.privateKey = key
        configuration.minimumTLSVersion = .tlsv12
        configuration.trustRoots = roots ?? .certificates([])
        // A client's certificate has no host's name; and a pinned one is known by itself.
        configuration.certificateVerification = isServer || pin != nil ? .noHostnameVerification : .fullVerification
        let context = try NIOSSLContext(configuration: configuration)
        guard let pin else { return .init(context: context, verifiesPin: nil) }
        let digits = pin.utf8.filter { $0 != UInt8(ascii: ":") }
        guard let wanted = digits.withUnsafeBytes({ hexadecimal($0) }), wanted.count == 32 else {
            throw MartletError(.misuse, "a fingerprint has 64 hexadecimal digits: that of SHA-256")
        }
        return .init(context: context) { certificates in
            guard let bytes = try? certificates.first?.toDERBytes() else { return false }
            var digest = [UInt8](repeating: 0, count: 32)
            martlet_sha256(bytes, bytes.count, &digest)
            return digest == wanted
        }
    }
}

/// The bytes that an even number of hexadecimal digits stands for.
private func hexadecimal(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
    func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x41 + 10
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }
    guard text.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: text.count, by: 2) {
        guard let high = value(text[index]), let low = value(text[index + 1]) else { return nil }
        bytes.append(high << 4 | low)
    }
    return bytes
}
