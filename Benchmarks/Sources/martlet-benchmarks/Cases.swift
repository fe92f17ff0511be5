import Martlet

/// A case by its name. Where it can be measured in several ways in, `--way` tells.
enum Cases {
    typealias Body = @Sendable (Controller, Options) async throws -> Sample

    static let all: [String: Body] = [
        "connect": connect,
        "connect-cold": connectCold,
        "beside": beside,
        "call": call,
        "flight": flight,
        "get": get,
        "put": put,
        "tree": tree,
        "rsync": rsync,
        "run": runCommand,
        "items": items,
        "bulk": bulk,
        "fan": fan,
        "fleet": fleet,
        "gateways": gateways,
        "hold": hold,
        "idle": idle,
        "once": once,
        "operation": operation,
        "python-bulk": pythonBulk,
        "python-call": pythonCall,
        "python-connect": pythonConnect,
    ]

    /// A context by the way that the options name, with what has to be open before it.
    static func open(_ martlet: Controller, _ options: Options) async throws -> Context {
        switch options.way {
        case "local": try await martlet.connect(.local)
        case "nested": try await martlet.connect(options.ssh()).connect(.local)
        default: try await martlet.connect(options.ssh())
        }
    }
}
