class Mcpline < Formula
  desc "@DESCRIPTION@"
  homepage "@REPOSITORY@"
  version "@VERSION@"
  license "@LICENSE@"

  on_macos do
    on_arm do
      url "@URL:aarch64-apple-darwin@"
      sha256 "@SHA256:aarch64-apple-darwin@"
    end
    on_intel do
      url "@URL:x86_64-apple-darwin@"
      sha256 "@SHA256:x86_64-apple-darwin@"
    end
  end

  on_linux do
    on_arm do
      url "@URL:aarch64-unknown-linux-musl@"
      sha256 "@SHA256:aarch64-unknown-linux-musl@"
    end
    on_intel do
      url "@URL:x86_64-unknown-linux-musl@"
      sha256 "@SHA256:x86_64-unknown-linux-musl@"
    end
  end

  def install
    bin.install "mcpline"
    man1.install Dir["man/*.1"]
    bash_completion.install "completions/mcpline.bash" => "mcpline"
    zsh_completion.install "completions/_mcpline"
    fish_completion.install "completions/mcpline.fish"
  end

  test do
    request = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
    assert_match '"result"', pipe_output("#{bin}/mcpline demo", request)
  end
end
