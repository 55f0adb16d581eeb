"""What the metrics can be told."""

from pydantic import Field

from components.common.config import Config


class MetricSettings(Config):
    """What the metrics can be told; scores under other settings are not comparable."""

    seed: int = Field(0, ge=0, lt=2**31, description="of fake images, noise and choices of rows")
    groups: int = Field(
        20, ge=4, le=1000, description="of images, left out in turn for the 95 % intervals"
    )
    kid_subsets: int = Field(100, ge=2, le=10_000, description="pairs of subsets that KID draws")
    kid_subset_size: int = Field(
        1000, ge=2, description="images of one subset; at most half of the smaller set is taken"
    )
    inception_splits: int = Field(10, ge=1, le=1000, description="parts of the Inception Score")
    neighbours: int = Field(
        3, ge=1, le=1000, description="k of precision's and recall's nearest neighbours"
    )
    density_neighbours: int = Field(
        5, ge=1, le=1000, description="k of density's and coverage's nearest neighbours"
    )
    wasserstein_patches: int = Field(
        16, ge=1, le=1024, description="patches an image for the sliced Wasserstein distance"
    )
    wasserstein_projections: int = Field(
        128, ge=1, le=10_000, description="directions of the sliced Wasserstein distance"
    )
