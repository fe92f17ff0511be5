import MartletWire

/// What an agent says first: the payload of its `hello` frame.
struct Hello: Codable, Sendable {
    /// The oldest and the newest protocol that it speaks.
    var oldest: Int
    var newest: Int
    /// Which build of the program it is.
    var build: String
    /// The nonce that it was started with, once more: now inside of the protocol.
    var nonce: String
    var facts: Facts

    /// What an agent sends first: the marker, and the frame with its hello.
    static func greeting(nonce: String, build: String) -> [UInt8] {
        let hello = Hello(
            oldest: ProtocolVersion.oldest, newest: ProtocolVersion.newest, build: build, nonce: nonce,
            facts: .current())
        let payload = (try? CBOREncoder().encode(hello)) ?? []
        let marker: [UInt8] = [0] + Array("MARTLET".utf8) + [0] + Array(nonce.utf8)
        return marker + FrameHeader(.hello, payloadCount: payload.count).bytes + payload
    }
}

/// What its parent answers: the payload of the `welcome` frame.
struct Welcome: Codable, Sendable {
    /// The protocol to speak.
    var version: Int
    var address: ContextAddress
    var route: Route
    /// What `ps` shall show.
    var title: String
    /// How long either side may be silent, in milliseconds.
    var heartbeatLimit: UInt32
    /// What the far cache calls the image, so that the agent's own children are started from it.
    var imageID: String
    var policy: ImagePolicy
    /// Which log records the controller wants: those of this level and above; `nil`: none are sent.
    var logLevel: String?
    /// The name of the controller's ``ContextInstrument``, if it has one.
    var instrument: String?
    /// The name of the program's ``AgentSetup``, if it has one.
    var setup: String?
}

extension ImagePolicy: Codable {}

enum ProtocolVersion {
    static let oldest = 1
    static let newest = 1

    /// The newest that both speak.
    static func common(with hello: Hello) -> Int? {
        let version = min(newest, hello.newest)
        return version >= max(oldest, hello.oldest) ? version : nil
    }
}
