/// A runtime other than our own image: an interpreter that the far machine has, and the program that it is sent.
///
/// It comes with a connect's options, so that the context that starts the child needs to know nothing of it.
package struct RuntimeScript: Sendable, Codable {
    /// For a shell that knows the nonce as `MARTLET_AGENT`: reports `alive`, as a stage does, and executes an interpreter
    /// that reads exactly the program from its standard input; or reports `failed` with the interpreters that are missing.
    package var command: String
    /// The same, but with each interpreter tried before it is taken: for the try after one that failed.
    package var carefulCommand: String
    /// What is sent. At most 32 KiB: it has to fit into the request for a connect.
    package var program: [UInt8]
    /// What its hello calls its build.
    package var build: String

    package init(command: String, carefulCommand: String, program: [UInt8], build: String) {
        self.command = command
        self.carefulCommand = carefulCommand
        self.program = program
        self.build = build
    }

    /// What a plain `sh` runs: see ``FirstStage/script``, whose rules hold for it.
    package func firstStage(nonce: BootstrapNonce, isCareful: Bool) -> String {
        "export MARTLET_AGENT=\(nonce.text);\(isCareful ? carefulCommand : command)"
    }
}
